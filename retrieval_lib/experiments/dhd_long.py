"""The long run of DHD: one training of about two hours, kept as a checkpoint of a few megabytes."""

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget
from retrieval_lib.experiments.dhd import build, judge_searches, protocol
from retrieval_lib.experiments.grid import Cell, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.methods.dhd import DHD, DHDSettings

LONG = Budget((64, 256, 256), 14_000)  # 40 epochs
TEACHER = 0.2  # the paper's value for AlexNet; in `dhd-terms` it had the best validation score of the teachers


def _cell(profile: str, images: ImageSet) -> Cell:
    return Cell("DHD", "long run", protocol(profile, images), 64)


def _build(job: Job, budget: Budget) -> DHD:
    return build(
        job.images, job.split, budget, DHDSettings(bits=job.cell.bits, teacher_strength=TEACHER), job.cell.seed
    )


DHD_LONG = long_grid(
    "dhd-long",
    "DHD with 64 bits and a weaker teacher, trained for 40 epochs; its weights are kept",
    "general", _cell, LongRun(LONG, _build, judge_searches), 8000,
)  # fmt: skip
