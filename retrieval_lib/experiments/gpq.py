"""Generalized product quantization, recorded: how its trainings were tuned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from retrieval_lib.augmentation import SHIFTED, ViewSettings
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.evaluation import Relevance, evaluate
from retrieval_lib.experiments.budgets import Budget, budget_for, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method, describe
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import train

# Views by name. `shifted` is the paper's; the other is ours, for few labels seen many times.
VIEWS: dict[str, ViewSettings] = {
    "shifted": SHIFTED,
    "cropped": ViewSettings(
        crop=1.0, crop_area=(0.3, 1.0), flip=0.5, jitter=0.8, jitter_strength=(0.4, 0.4, 0.4, 0.1), grey=0.1
    ),
}

# Trials: view, weight of the entropy, steps, learning rate. A step without unlabelled images costs half of one with.
TRIALS: tuple[tuple[str, float, int, float], ...] = (
    ("cropped", 0.1, 500, 5e-3),
    ("shifted", 0.1, 500, 5e-3),
    ("cropped", 0.0, 500, 5e-3),
    ("cropped", 0.1, 500, 1e-2),
    ("shifted", 0.0, 500, 5e-3),
    ("shifted", 0.0, 1000, 5e-3),
    ("shifted", 0.5, 500, 5e-3),
    ("shifted", 0.1, 500, 1e-2),
    ("shifted", 0.03, 500, 5e-3),
)
WIDTHS = (32, 64, 128)


def build(images: ImageSet, split: Split, budget: Budget, settings: GPQSettings, seed: int) -> GPQ:
    """A new GPQ on the fast network, its first layer whitened with labelled images."""
    return GPQ(whitened_network(images, split.train, budget.widths, seed), len(images.class_names), settings, seed)


def among_held_out(method: Method, images: ImageSet, positions: Tensor) -> float:
    """mAP over the whole ranking of held-out images that search each other: each half the other, both averaged.

    The loop's own validation score searches the labelled images, which were trained on. The test database has images
    whose labels no training saw, and so has this.

    Args:
        method: in any state.
        images: the data set.
        positions: (n,) of the held-out images, sorted or not; they are shuffled by a fixed seed.
    """
    order = torch.randperm(len(positions), generator=torch.Generator().manual_seed(0))
    halves = [positions[part] for part in order.chunk(2)]
    described = [describe(method, images.images[part]) for part in halves]
    scores = []
    for query, database in ((0, 1), (1, 0)):
        relevance = Relevance(images.labels[halves[query]], images.labels[halves[database]])
        distances = method.distances(described[query], method.encode(described[database]))
        scores.append(evaluate(distances, relevance, k=None).mean_average_precision)
    return sum(scores) / 2


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation scores alone: a setting is never chosen on the test queries."""
    told = job.cell.settings
    chosen = budget_for(job.profile, Budget(WIDTHS, told["steps"], learning_rate=told["learning_rate"]))
    settings = GPQSettings(bits=job.cell.bits, view=VIEWS[told["view"]], entropy=told["entropy"])
    method = build(job.images, job.split, chosen, settings, job.cell.seed)
    history = train(method, job.images, job.split, chosen.training(job.cell.seed), snapshot_count=10)
    held_out = job.split.searches["validation"].query
    return [
        Value(among_held_out(method, job.images, held_out), "mAP", "held out", None, "retrieved", "expected"),
        Value(history.scores[-1], "mAP", "validation", 1000, "retrieved", "expected"),
    ]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of GPQ: the largest one, but under the profile `quick`."""
    return protocol_for(images, "semi-supervised", "quick" if profile == "quick" else "full")


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", f"{view}, entropy {entropy:g}, {steps} steps, rate {rate:g}", drawn, 48, 0,
             settings={"view": view, "entropy": entropy, "steps": steps, "learning_rate": rate})
        for view, entropy, steps, rate in TRIALS
    ]  # fmt: skip


GPQ_TRIALS = Grid(
    "gpq-trials",
    "View, weight of the entropy and learning rate of GPQ's trainings, chosen on the validation part",
    "general", _trial_cells, _run_trial, 200, repeatable=False,
)  # fmt: skip
