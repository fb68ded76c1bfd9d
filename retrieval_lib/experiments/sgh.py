"""Hashing of faces, recorded: SGH and what it is compared with, on people seen in training and on people never seen.

All grids but the long run hold people out of the training: some are judged at the end, others chose the settings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.face_methods import (
    CONTESTANTS,
    SIDE,
    build,
    chosen_settings,
    judge_faces,
    judge_validation_people,
    words,
)
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method
from retrieval_lib.training import train

TRIED = Budget((32, 64, 128), 300)
COMPARED = Budget((32, 64, 128), 400)
LONG = Budget((64, 128, 256), 2400)  # 104 epochs
SEEDS = range(5)
BITS = (12, 24, 36, 48)  # 64 are among the methods

# Each variant by name: what it changes in the settings that the trials chose. Unchanged, SGH is among the methods.
TERMS: dict[str, dict] = {
    "without self-similarity": {"self_similarity": 0.0},
    "without pairwise similarity": {"pairwise": 0.0},
    "without both similarities": {"self_similarity": 0.0, "pairwise": 0.0},
    "both similarities at 0.1": {"self_similarity": 0.1, "pairwise": 0.1},
    "without quantization": {"quantization": 0.0},
    "without identity": {"identity": 0.0, "self_similarity": 1.0, "pairwise": 1.0},
}
# A step sees 256 views in all, whatever the number of views of an image; two of each are among the methods.
VIEWS: dict[str, dict] = {
    "1 view, without similarities": {"view_count": 1, "batch_size": 256, "self_similarity": 0.0, "pairwise": 0.0},
    "4 views": {"view_count": 4, "batch_size": 64},
}


def _trained(job: Job, budget: Budget) -> tuple[Method, ImageSet]:
    """The method of a cell, trained, and the images at the size that it saw."""
    changes = dict(job.cell.settings)
    told = {name: changes.pop(name) for name in ("learning_rate", "batch_size") if name in changes}
    chosen = budget_for(job.profile, replace(budget, **told))
    small = job.images.resized(SIDE)
    method = build(job.cell.method, small, job.split, chosen, job.cell.bits, job.cell.seed, changes)
    train(method, small, job.split, chosen.training(job.cell.seed, job.split), snapshot_count=10)
    return method, small


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the people who are judged at the end."""
    method, small = _trained(job, TRIED)
    return [judge_validation_people(method, small, job.split)]


def _run(job: Job) -> Sequence[Value]:
    method, small = _trained(job, COMPARED)
    values = judge_faces(method, small, job.split, ("test", "unseen"))
    return [*values, judge_validation_people(method, small, job.split)]


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "unseen faces", profile)
    return [
        Cell(name, words(changes), drawn, 64, settings=changes)
        for name, contestant in CONTESTANTS.items()
        for changes in contestant.trials
    ]


def _method_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "unseen faces", profile)
    return [
        Cell(name, words(chosen_settings(name)), drawn, 64, seed, settings=chosen_settings(name))
        for seed in SEEDS
        for name in CONTESTANTS
    ]


def _variant_cells(variants: Mapping[str, Mapping]) -> Callable[[str, ImageSet], list[Cell]]:
    def cells(profile: str, images: ImageSet) -> list[Cell]:
        drawn = protocol_for(images, "unseen faces", profile)
        return [
            Cell("SGH", name, drawn, 64, seed, settings={**chosen_settings("SGH"), **changes})
            for seed in SEEDS
            for name, changes in variants.items()
        ]

    return cells


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "unseen faces", profile)
    return [Cell("SGH", "SGH", drawn, bits, seed, settings=chosen_settings("SGH")) for seed in SEEDS for bits in BITS]


def _long_cell(profile: str, images: ImageSet) -> Cell:
    return Cell("SGH", "long run", protocol_for(images, "faces", profile), 64)


def _build_long(job: Job, budget: Budget) -> Method:
    changes = {name: value for name, value in chosen_settings("SGH").items() if name != "learning_rate"}
    return build("SGH", job.images, job.split, budget, job.cell.bits, job.cell.seed, changes)


def _judge_test(method: Method, images: ImageSet, split: Split) -> list[Value]:
    return judge_faces(method, images, split, ("test",))


SGH_TRIALS = Grid(
    "sgh-trials",
    "Settings of SGH and of what it is compared with, eight trials each, chosen on people held out of the training",
    "faces", _trial_cells, _run_trial, 90, repeatable=False,
)  # fmt: skip
SGH_METHODS = Grid(
    "sgh-methods",
    "SGH, classification only, DHD and block hashing: 64 bits, five seeds, equal steps and views",
    "faces", _method_cells, _run, 125, repeatable=False,
)  # fmt: skip
SGH_TERMS = Grid(
    "sgh-terms",
    "What each term of SGH buys: 64 bits, five seeds, equal steps and views",
    "faces", _variant_cells(TERMS), _run, 125, repeatable=False,
)  # fmt: skip
SGH_VIEWS = Grid(
    "sgh-views",
    "One and four views of each image, 256 views a step in all: 64 bits, five seeds",
    "faces", _variant_cells(VIEWS), _run, 125, repeatable=False,
)  # fmt: skip
SGH_BITS = Grid(
    "sgh-bits",
    "SGH with 12 to 48 bits, five seeds",
    "faces", _bits_cells, _run, 125, repeatable=False,
)  # fmt: skip
SGH_LONG = long_grid(
    "sgh-long",
    "SGH with 64 bits, trained for 104 epochs; its weights are kept",
    "faces", _long_cell, LongRun(LONG, _build_long, _judge_test, SIDE), 2400,
)  # fmt: skip
