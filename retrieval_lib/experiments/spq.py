"""Self-supervised product quantization, recorded: how its trainings were tuned."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.augmentation import SIMCLR, ViewSettings
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.experiments.budgets import Budget, budget_for, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.training import train

# Views by name. `published` is the paper's; `gentle` is ours, for few steps: crops keep more of the image, no blur.
VIEWS: dict[str, ViewSettings] = {
    "published": SIMCLR,
    "gentle": replace(SIMCLR.without("blur"), crop_area=(0.25, 1.0)),
}
WIDTHS = (32, 64, 128)
TRIAL = Budget(WIDTHS, 250, batch_size=256)

# Trials: view, batch size, learning rate, temperature of the contrast; each sees as many images as the others.
TRIALS: tuple[tuple[str, int, float, float], ...] = (
    ("published", 256, 5e-3, 0.5),
    ("gentle", 256, 5e-3, 0.5),
    ("published", 256, 2e-3, 0.5),
    ("gentle", 256, 2e-3, 0.5),
    ("gentle", 128, 2e-3, 0.5),
    ("gentle", 256, 2e-3, 0.2),
)


def build(images: ImageSet, split: Split, budget: Budget, settings: SPQSettings, seed: int) -> SPQ:
    """A new SPQ on the fast network, its first layer whitened with training images."""
    return SPQ(whitened_network(images, split.train, budget.widths, seed), settings, seed)


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    told, chosen = job.cell.settings, budget_for(job.profile, TRIAL)
    steps = chosen.steps * chosen.batch_size // told["batch_size"]
    trial = replace(chosen, steps=steps, batch_size=told["batch_size"], learning_rate=told["learning_rate"])
    settings = SPQSettings(bits=job.cell.bits, view=VIEWS[told["view"]], temperature=told["temperature"])
    method = build(job.images, job.split, trial, settings, job.cell.seed)
    history = train(method, job.images, job.split, trial.training(job.cell.seed), snapshot_count=10)
    return [Value(history.scores[-1], "mAP", "validation", 1000, "retrieved", "expected")]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of SPQ: the largest one, but under the profile `quick`. Its labels only judge."""
    return protocol_for(images, "supervised", "quick" if profile == "quick" else "full")


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"{view} views, batches of {batch}, rate {rate:g}, temperature {temperature:g}", drawn, 32,
             settings={"view": view, "batch_size": batch, "learning_rate": rate, "temperature": temperature})
        for view, batch, rate, temperature in TRIALS
    ]  # fmt: skip


SPQ_TRIALS = Grid(
    "spq-trials",
    "View, batch size, learning rate and temperature of SPQ's trainings, chosen on the validation part",
    "general", _trial_cells, _run_trial, 220, repeatable=False,
)  # fmt: skip
