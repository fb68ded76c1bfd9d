"""The long run of GPQ: a training of about two hours, kept as a checkpoint of a few megabytes; its trials; its controls."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.backbones import settle_batch_statistics
from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.gpq import ALONE, VIEWS, WIDTHS, build, judge_test, protocol, trained
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import held_out
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import train

# Trials: the view and the weight decay. A long run sees each labelled image hundreds of times, and may need more of both
# than the short ones.
TRIED = Budget(WIDTHS, 3000)
TRIALS = (("shifted", 1e-4), ("mirrored", 1e-4), ("cropped", 1e-4), ("mirrored", 5e-2), ("cropped", 5e-2))
CHOSEN = {"view": "cropped", "weight_decay": 5e-2}  # the best of the trials
LONG = Budget((64, 256, 256), 12_000, weight_decay=CHOSEN["weight_decay"])


def _run_trial(job: Job) -> Sequence[Value]:
    """The score among held-out images alone: a setting is never chosen on the test queries."""
    told = job.cell.settings
    chosen = replace(budget_for(job.profile, TRIED), weight_decay=told["weight_decay"])
    settings = GPQSettings(bits=job.cell.bits, view=VIEWS[told["view"]])
    method = build(job.images, job.split, chosen, settings, job.cell.seed)
    train(method, job.images, job.split, chosen.training(job.cell.seed, job.split), snapshot_count=10)
    return [held_out(method, job.images, job.split)]


def _run_longer(job: Job) -> Sequence[Value]:
    budget = replace(TRIED, weight_decay=CHOSEN["weight_decay"])
    method = trained(job, budget)
    # As in the long run; and the training's own are of unlabelled images, too, where a control's are not.
    settle_batch_statistics(method.backbone, job.images.images[job.split.train])
    return judge_test(method, job.images, job.split, refitted=True, seed=job.cell.seed)


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [
        Cell("GPQ", f"{view}, weight decay {decay:g}", protocol(profile, images), 48,
             settings={"view": view, "weight_decay": decay})
        for view, decay in TRIALS
    ]  # fmt: skip


def _longer_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", name, drawn, 48, seed, settings={"view": CHOSEN["view"], **changes})
        for seed in range(3)
        for name, changes in ALONE.items()
    ]


def _cell(profile: str, images: ImageSet) -> Cell:
    return Cell("GPQ", "long run", protocol(profile, images), 48)


def _further_seeds(profile: str, images: ImageSet) -> list[Cell]:
    return [replace(_cell(profile, images), seed=seed) for seed in (1, 2)]


def _build(job: Job, budget: Budget) -> GPQ:
    settings = GPQSettings(bits=job.cell.bits, view=VIEWS[CHOSEN["view"]])
    return build(job.images, job.split, budget, settings, job.cell.seed)


GPQ_LONG_TRIALS = Grid(
    "gpq-long-trials",
    "View and weight decay of GPQ's long run: 3,000 steps of a smaller network, chosen among held-out images",
    "general", _trial_cells, _run_trial, 900, repeatable=False,
)  # fmt: skip
GPQ_LONGER = Grid(
    "gpq-longer",
    "GPQ and labels alone as the best trial of the long run, 3,000 steps; beside them PQ, OPQ and no code; three seeds",
    "general", _longer_cells, _run_longer, 700, repeatable=False,
)  # fmt: skip
RUN = LongRun(LONG, _build, judge_test, settled=True)
GPQ_LONG = long_grid(
    "gpq-long",
    "GPQ with 48 bits and the published losses, 12,000 steps; its weights are kept",
    "general", _cell, RUN, 8000,
)  # fmt: skip
GPQ_LONG_SEEDS = Grid(
    "gpq-long-seeds",
    "GPQ's long run with two further seeds, whose weights are not kept",
    "general", _further_seeds, RUN.run, 8000, repeatable=False,
)  # fmt: skip
