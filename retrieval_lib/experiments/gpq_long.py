"""The long run of GPQ: one training of about two hours, kept as a checkpoint of a few megabytes."""

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget
from retrieval_lib.experiments.gpq import build, judge_test, protocol
from retrieval_lib.experiments.grid import Cell, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.methods.gpq import GPQ, GPQSettings

LONG = Budget((64, 256, 256), 12_000)


def _cell(profile: str, images: ImageSet) -> Cell:
    return Cell("GPQ", "long run", protocol(profile, images), 48)


def _build(job: Job, budget: Budget) -> GPQ:
    return build(job.images, job.split, budget, GPQSettings(bits=job.cell.bits), job.cell.seed)


GPQ_LONG = long_grid(
    "gpq-long",
    "GPQ with 48 bits and the published losses, 12,000 steps; its weights are kept",
    "general", _cell, LongRun(LONG, _build, judge_test), 8000,
)  # fmt: skip
