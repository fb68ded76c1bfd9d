"""The long run of SPQ: one training of several hours without a label, kept as a checkpoint of a few megabytes."""

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget
from retrieval_lib.experiments.grid import Cell, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.experiments.spq import VIEWS, build, judge_search, protocol
from retrieval_lib.methods.spq import SPQ, SPQSettings

CHOSEN = {"view": "small images", "temperature": 0.5, "weight_decay": 1e-4}  # the best of the trials
LONG = Budget((48, 96, 192), 24_000, batch_size=256, weight_decay=CHOSEN["weight_decay"])  # 137 epochs


def _cell(profile: str, images: ImageSet) -> Cell:
    return Cell("SPQ", "long run", protocol(profile, images), 32)


def _build(job: Job, budget: Budget) -> SPQ:
    settings = SPQSettings(bits=job.cell.bits, temperature=CHOSEN["temperature"], view=VIEWS[CHOSEN["view"]])
    return build(job.images, job.split, budget, settings, job.cell.seed)


RUN = LongRun(LONG, _build, judge_search, evaluations=24, shown=250)
SPQ_LONG = long_grid(
    "spq-long",
    "SPQ with 32 bits, trained for 137 epochs; its weights are kept",
    "general", _cell, RUN, 24_000,
)  # fmt: skip
