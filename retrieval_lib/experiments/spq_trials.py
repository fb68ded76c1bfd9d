"""How SPQ's settings were chosen, recorded: short trials for the grids, longer ones for the long run."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import validated
from retrieval_lib.experiments.spq import EVALUATIONS, WIDTHS, build, by_step, protocol, settings_of
from retrieval_lib.experiments.values import Value
from retrieval_lib.training import train

TRIED = Budget(WIDTHS, 250, batch_size=256)
# Trials: view, batch size, learning rate, temperature of the contrast; each sees as many images as the others.
TRIALS: tuple[tuple[str, int, float, float], ...] = (
    ("published", 256, 5e-3, 0.5),
    ("gentle", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.2),
    ("mild", 256, 2e-3, 0.5),
)
# Longer trials, for the long run: view, temperature of the contrast, weight decay.
LONG_TRIALS: tuple[tuple[str, float, float], ...] = (
    ("mild", 0.2, 1e-4),
    ("mild", 0.5, 1e-4),
    ("published", 0.5, 1e-4),
    ("small images", 0.2, 1e-4),
    ("small images", 0.5, 1e-4),
    ("small images", 0.2, 5e-2),
)
LONG_TRIED = Budget(WIDTHS, 2000, batch_size=256)


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    told, chosen = job.cell.settings, budget_for(job.profile, TRIED)
    steps = chosen.steps * chosen.batch_size // told["batch_size"]
    trial = replace(chosen, steps=steps, batch_size=told["batch_size"], learning_rate=told["learning_rate"])
    method = build(job.images, job.split, trial, settings_of(job.cell), job.cell.seed)
    return [
        validated(train(method, job.images, job.split, trial.training(job.cell.seed, job.split), snapshot_count=10))
    ]


def _run_long_trial(job: Job) -> Sequence[Value]:
    """The validation score alone, and how the codewords were used."""
    chosen = replace(budget_for(job.profile, LONG_TRIED), weight_decay=job.cell.settings["weight_decay"])
    method = build(job.images, job.split, chosen, settings_of(job.cell), job.cell.seed)
    training = replace(chosen.training(job.cell.seed, job.split), evaluate_every=max(1, chosen.steps // EVALUATIONS))
    history = train(method, job.images, job.split, training)
    return [validated(history), *by_step(history)]


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"{view} views, batches of {batch}, rate {rate:g}, temperature {temperature:g}", drawn, 32,
             settings={"view": view, "batch_size": batch, "learning_rate": rate, "temperature": temperature})
        for view, batch, rate, temperature in TRIALS
    ]  # fmt: skip


def _long_trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"{view} views, temperature {temperature:g}, weight decay {decay:g}", drawn, 32,
             settings={"view": view, "temperature": temperature, "weight_decay": decay})
        for view, temperature, decay in LONG_TRIALS
    ]  # fmt: skip


SPQ_TRIALS = Grid(
    "spq-trials",
    "View, learning rate and temperature of SPQ's trainings, chosen on the validation part",
    "general", _trial_cells, _run_trial, 170, repeatable=False,
)  # fmt: skip
SPQ_LONG_TRIALS = Grid(
    "spq-long-trials",
    "View and temperature of SPQ's long run: 2,000 steps of a smaller network, chosen on the validation part",
    "general", _long_trial_cells, _run_long_trial, 900, repeatable=False,
)  # fmt: skip
