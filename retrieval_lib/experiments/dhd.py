"""Deep hash distillation, recorded: how fast to learn, by bits, term by term, and as a plug-in of other losses."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from retrieval_lib.augmentation import DHD_STRONG, RandomView, settings_for
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.experiments.budgets import Budget, budget_for, machine_device, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import judge_method, validated
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.dhd import DHD, LOSSES, DHDSettings
from retrieval_lib.training import train

BITS = (16, 32, 64)
SCATTERED = 1_000  # validation images whose strong views are compared with themselves
NO_DISTILLATION, DISTILLATION = 0.0, 0.1

# Trials of the training's speed: batch size and learning rate, with as many images seen in each.
TRIALS = ((256, 2.5e-3), (256, 5e-3), (256, 1e-2), (128, 2.5e-3), (128, 5e-3), (128, 1e-2), (64, 5e-3))

# Each variant by name: what it changes in the paper's settings. The controls see the same two views as DHD does.
TERMS: dict[str, dict] = {
    "DHD": {},
    "without self-distillation": {"distillation": NO_DISTILLATION},
    "without self-distillation, labels on both views": {"distillation": NO_DISTILLATION, "supervise": "both"},
    "without self-distillation, labels on the strong view": {"distillation": NO_DISTILLATION, "supervise": "student"},
    "without quantization": {"quantization": 0.0},
    "self-distillation x 10": {"distillation": 1.0},
    "teacher 0.2": {"teacher_strength": 0.2},
    "teacher 0.2, without self-distillation": {"teacher_strength": 0.2, "distillation": NO_DISTILLATION},
    "teacher 0.2, without self-distillation, labels on both views": {
        "teacher_strength": 0.2,
        "distillation": NO_DISTILLATION,
        "supervise": "both",
    },
    "teacher 1.0": {"teacher_strength": 1.0},
}


MEDIUM = Budget((32, 64, 128), 1600)  # as the page's live run
SHORT = Budget((32, 64, 128), 660)  # about four minutes of one thread: for the grids with many cells


def build(images: ImageSet, split: Split, budget: Budget, settings: DHDSettings, seed: int) -> DHD:
    """A new DHD on the fast network, its first layer whitened with training images."""
    device = machine_device()
    network = whitened_network(images, split.train, budget.widths, seed, device)
    return DHD(network, len(images.class_names), settings, seed).to(device)


def judge_searches(method: DHD, images: ImageSet, split: Split) -> list[Value]:
    """mAP@1000 of the test queries, in the labelled database and in one that was never trained on."""
    values = []
    for name in ("test", "untrained"):
        ties = ("expected", "seeded") if name == "test" else ("expected",)
        values += judge_method(method, images, split.searches[name], name, ties=ties)
    return values


def turned_bits(method: DHD, images: ImageSet, positions: Tensor, seed: int = 0) -> Tensor:
    """For each image the share (n,) of its bits that differ between its own code and the code of a strong view."""
    pixels = images.images[positions]
    view = RandomView(settings_for(DHD_STRONG, images.name, pixels.shape[1]), tuple(pixels.shape[2:]))
    strong = (view(pixels, seed) * 255).round().to(torch.uint8)
    own, seen = (method.encode(describe(method, x)) for x in (pixels, strong))  # (n, bits) each
    return (own != seen).float().mean(1)


def _run(budget: Budget):
    def run(job: Job) -> Sequence[Value]:
        cell, chosen = job.cell, budget_for(job.profile, budget)
        settings = DHDSettings(bits=cell.bits, strong=DHD_STRONG, **cell.settings)
        method = build(job.images, job.split, chosen, settings, cell.seed)
        history = train(method, job.images, job.split, chosen.training(cell.seed, job.split), snapshot_count=10)
        values = [*judge_searches(method, job.images, job.split), validated(history)]
        turned = turned_bits(method, job.images, job.split.searches["validation"].query[:SCATTERED])
        return [*values, Value(float(turned.mean()), "share of bits turned by a strong view", "validation")]

    return run


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    chosen = budget_for(job.profile, SHORT)
    batch_size, rate = job.cell.settings["batch_size"], job.cell.settings["learning_rate"]
    steps = chosen.steps * chosen.batch_size // batch_size
    trial = replace(chosen, steps=steps, batch_size=batch_size, learning_rate=rate)
    method = build(job.images, job.split, trial, DHDSettings(bits=job.cell.bits), job.cell.seed)
    history = train(method, job.images, job.split, trial.training(job.cell.seed, job.split), snapshot_count=10)
    return [validated(history)]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of DHD: the largest one, but under the profile `quick`."""
    return protocol_for(images, "supervised", "quick" if profile == "quick" else "full")


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("DHD", f"batches of {batch}, rate {rate:g}", drawn, 64,
             settings={"batch_size": batch, "learning_rate": rate})
        for batch, rate in TRIALS
    ]  # fmt: skip


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [Cell("DHD", "DHD", protocol(profile, images), b, seed) for seed in range(3) for b in BITS]


def _terms_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("DHD", name, drawn, 64, seed, settings=changes) for seed in range(5) for name, changes in TERMS.items()
    ]


def _plugin_cells(profile: str, images: ImageSet) -> list[Cell]:
    """Each other loss alone (on both views, so that it sees as much), and with self-distillation."""
    drawn = protocol(profile, images)
    cells = []
    for seed in range(5):
        for loss in LOSSES[1:]:
            shared = {"loss": loss, "quantization": 0.0}
            alone = {**shared, "distillation": NO_DISTILLATION}
            cells += [
                Cell(loss, "alone", drawn, 64, seed, settings=alone),
                Cell(loss, "alone, labels on both views", drawn, 64, seed, settings={**alone, "supervise": "both"}),
                Cell(loss, "with self-distillation", drawn, 64, seed,
                     settings={**shared, "distillation": DISTILLATION}),
            ]  # fmt: skip
    return cells


DHD_TRIALS = Grid(
    "dhd-trials",
    "Batch size and learning rate of DHD's trainings, chosen on the validation part, one seed each",
    "general", _trial_cells, _run_trial, 130, repeatable=False,
)  # fmt: skip
DHD_BITS = Grid(
    "dhd-bits",
    "DHD with 16, 32 and 64 bits, 1,600 steps, three seeds",
    "general", _bits_cells, _run(MEDIUM), 290, repeatable=False,
)  # fmt: skip
DHD_TERMS = Grid(
    "dhd-terms",
    "What each term of DHD and the strength of its teacher buy: 64 bits, five seeds, equal steps and views",
    "general", _terms_cells, _run(SHORT), 130, repeatable=False,
)  # fmt: skip
DHD_PLUGINS = Grid(
    "dhd-plugins",
    "Self-distillation added to CSQ, HashNet and DPN: 64 bits, five seeds, equal steps and views",
    "general", _plugin_cells, _run(SHORT), 130, repeatable=False,
)  # fmt: skip
