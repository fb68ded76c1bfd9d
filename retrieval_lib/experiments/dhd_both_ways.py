"""What the kept networks of DHD find when descriptors are the mean over an image and its mirror image."""

from collections.abc import Sequence

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.dhd import judge_searches, protocol
from retrieval_lib.experiments.dhd_long import DHD_LONG, DHD_LONG_SECOND, FIRST_RUN, SECOND_RUN
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import judge_method
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.both_ways import BothWays

RUNS = {"first run": (FIRST_RUN, DHD_LONG), "second run": (SECOND_RUN, DHD_LONG_SECOND)}


def _run(job: Job) -> Sequence[Value]:
    """The validation queries in all training images, and the searches of the long runs."""
    run, grid = RUNS[job.cell.settings["run"]]
    method = run.load(grid, job.images, job.profile)
    if job.cell.settings["both_ways"]:
        method = BothWays(method)
    told = {"divisors": ("retrieved",), "ties": ("expected",)}
    validation = judge_method(method, job.images, job.split.searches["validation"], "validation", **told)
    return [*validation, *judge_searches(method, job.images, job.split)]


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    return [
        Cell("DHD", f"{run}, {name}", protocol(profile, images), 64, settings={"run": run, "both_ways": both_ways})
        for run in RUNS
        for name, both_ways in (("the image alone", False), ("and its mirror image", True))
    ]


DHD_BOTH_WAYS = Grid(
    "dhd-both-ways",
    "The kept networks of DHD, with descriptors of an image alone and of the mean over it and its mirror image",
    "general", _cells, _run, 300, repeatable=True,
)  # fmt: skip
