"""The long runs of DHD: trainings of about two hours, each kept as a checkpoint of a few megabytes."""

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget
from retrieval_lib.experiments.dhd import build, judge_searches, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.methods.dhd import DHD, DHDSettings

WIDTHS = (64, 256, 256)


def _long(name: str, title: str, teacher: float, steps: int, settled: bool) -> Grid:
    def cell(profile: str, images: ImageSet) -> Cell:
        return Cell("DHD", "long run", protocol(profile, images), 64)

    def made(job: Job, budget: Budget) -> DHD:
        settings = DHDSettings(bits=job.cell.bits, teacher_strength=teacher)
        return build(job.images, job.split, budget, settings, job.cell.seed)

    run = LongRun(Budget(WIDTHS, steps), made, judge_searches, settled=settled)
    return long_grid(name, title, "general", cell, run, 8000)


DHD_LONG = _long(
    "dhd-long",
    "DHD with 64 bits and the teacher that was best in short trainings, for 40 epochs; its weights are kept",
    teacher=0.2, steps=14_000, settled=False,
)  # fmt: skip
DHD_LONG_STRONGER = _long(
    "dhd-long-stronger",
    "DHD with 64 bits and the paper's stronger teacher, for 27 epochs; its weights are kept",
    teacher=0.5, steps=9_500, settled=True,
)  # fmt: skip
