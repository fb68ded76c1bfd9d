"""Few labels after none: GPQ that starts from the network of SPQ's long run, against the same from scratch."""

from collections.abc import Sequence

from retrieval_lib.backbones import Backbone
from retrieval_lib.data import ImageSet, make_split
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.gpq import build, judge_test, label_counts, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.spq_long import SPQ_LONG, spq_of_long_run
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.paths import checkpoints_folder
from retrieval_lib.training import load_checkpoint, train

TUNED = Budget((48, 96, 192), 500, learning_rate=2e-3)  # widths as SPQ's long run has them
LABELS = (500, 5000)
STARTS = ("from scratch", "from SPQ")


def spq_backbone(images: ImageSet, profile: str) -> Backbone:
    """The network of SPQ's long run, its weights from the checkpoint.

    Raises:
        FileNotFoundError: the long run was not recorded for these images and this profile.
    """
    (cell,) = SPQ_LONG.cells(profile, images)
    split = make_split(images, cell.protocol, cell.split_seed)
    method = spq_of_long_run(Job(cell, images, split, profile))
    file = checkpoints_folder() / cell.checkpoint
    if not file.is_file():
        raise FileNotFoundError(f"There is no {file}: run `python -m retrieval_lib record {SPQ_LONG.name}` first.")
    load_checkpoint(file, method)
    return method.backbone


def _run(job: Job) -> Sequence[Value]:
    cell, chosen = job.cell, budget_for(job.profile, TUNED)
    settings = GPQSettings(bits=cell.bits)
    if cell.variant == "from SPQ":
        method = GPQ(spq_backbone(job.images, job.profile), len(job.images.class_names), settings, cell.seed)
    else:
        method = build(job.images, job.split, chosen, settings, cell.seed)
    train(method, job.images, job.split, chosen.training(cell.seed, job.split), snapshot_count=10, initial=cell.variant)
    return judge_test(method, job.images, job.split)


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", start, drawn, 48, seed, split_settings={"labels": labels})
        for seed in range(3)
        for labels in label_counts(profile, images, LABELS)
        for start in STARTS
    ]


FROM_SPQ = Grid(
    "from-spq",
    "GPQ that starts from SPQ's network, and from scratch: 500 and 5,000 labels, 48 bits, three seeds",
    "general", _cells, _run, 300, repeatable=False,
)  # fmt: skip
