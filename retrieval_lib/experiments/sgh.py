"""Hashing of faces, recorded: SGH and what it is compared with, on people seen in training and on people never seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.face_methods import CONTESTANTS, SIDE, build, chosen_settings, judge_faces, words
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method
from retrieval_lib.training import train

TRIED = Budget((32, 64, 128), 300)
COMPARED = Budget((32, 64, 128), 600)
LONG = Budget((64, 128, 256), 2400)  # 100 epochs
BITS = (12, 24, 36, 48, 64)

# Each variant by name: what it changes in the settings that the trials chose.
TERMS: dict[str, dict] = {
    "SGH": {},
    "without self-similarity": {"self_similarity": 0.0},
    "without pairwise similarity": {"pairwise": 0.0},
    "without both": {"self_similarity": 0.0, "pairwise": 0.0},
    "without quantization": {"quantization": 0.0},
    "without identity": {"identity": 0.0, "self_similarity": 1.0, "pairwise": 1.0},
}
# A step sees 256 views in all, whatever the number of views of an image.
VIEWS: dict[str, dict] = {
    "1 view, classification only": {"view_count": 1, "batch_size": 256, "self_similarity": 0.0, "pairwise": 0.0},
    "2 views": {"view_count": 2, "batch_size": 128},
    "4 views": {"view_count": 4, "batch_size": 64},
}


def _run(budget: Budget, searches: Sequence[str]) -> Callable[[Job], Sequence[Value]]:
    def run(job: Job) -> Sequence[Value]:
        changes = dict(job.cell.settings)
        told = {name: changes.pop(name) for name in ("learning_rate", "batch_size") if name in changes}
        chosen = budget_for(job.profile, replace(budget, **told))
        small = job.images.resized(SIDE)
        name = job.cell.method
        method = build(name, small, job.split, chosen, job.cell.bits, job.cell.seed, changes)
        train(method, small, job.split, chosen.training(job.cell.seed), snapshot_count=10)
        return judge_faces(method, small, job.split, searches)

    return run


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "faces", profile)
    return [
        Cell(name, words(changes), drawn, 64, settings=changes)
        for name, contestant in CONTESTANTS.items()
        for changes in contestant.trials
    ]


def _method_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "faces", profile)
    return [
        Cell(name, words(chosen_settings(name)), drawn, 64, seed, settings=chosen_settings(name))
        for seed in range(5)
        for name in CONTESTANTS
    ]


def _variant_cells(variants: Mapping[str, Mapping]) -> Callable[[str, ImageSet], list[Cell]]:
    def cells(profile: str, images: ImageSet) -> list[Cell]:
        drawn = protocol_for(images, "faces", profile)
        return [
            Cell("SGH", name, drawn, 64, seed, settings={**chosen_settings("SGH"), **changes})
            for seed in range(5)
            for name, changes in variants.items()
        ]

    return cells


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "faces", profile)
    return [
        Cell("SGH", "SGH", drawn, bits, seed, settings=chosen_settings("SGH")) for seed in range(5) for bits in BITS
    ]


def _unseen_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol_for(images, "unseen faces", profile)
    return [
        Cell(name, words(chosen_settings(name)), drawn, 64, seed, settings=chosen_settings(name))
        for seed in range(5)
        for name in CONTESTANTS
    ]


def _long_cell(profile: str, images: ImageSet) -> Cell:
    return Cell("SGH", "long run", protocol_for(images, "faces", profile), 64)


def _build_long(job: Job, budget: Budget) -> Method:
    return build("SGH", job.images, job.split, budget, job.cell.bits, job.cell.seed, chosen_settings("SGH"))


def _judge_test(method: Method, images: ImageSet, split: Split) -> list[Value]:
    return judge_faces(method, images, split, ("test",))


SGH_TRIALS = Grid(
    "sgh-trials",
    "Settings of SGH and of what it is compared with, eight trials each, chosen on the validation part",
    "faces", _trial_cells, _run(TRIED, ("validation",)), 60, repeatable=False,
)  # fmt: skip
SGH_METHODS = Grid(
    "sgh-methods",
    "SGH, classification only, DHD and block hashing: 64 bits, five seeds, equal steps and views",
    "faces", _method_cells, _run(COMPARED, ("test", "validation")), 110, repeatable=False,
)  # fmt: skip
SGH_TERMS = Grid(
    "sgh-terms",
    "What each term of SGH buys: 64 bits, five seeds, equal steps and views",
    "faces", _variant_cells(TERMS), _run(COMPARED, ("test", "validation")), 110, repeatable=False,
)  # fmt: skip
SGH_VIEWS = Grid(
    "sgh-views",
    "One, two and four views of each image, 256 views a step in all: 64 bits, five seeds",
    "faces", _variant_cells(VIEWS), _run(COMPARED, ("test", "validation")), 110, repeatable=False,
)  # fmt: skip
SGH_BITS = Grid(
    "sgh-bits",
    "SGH with 12 to 64 bits, five seeds",
    "faces", _bits_cells, _run(COMPARED, ("test", "validation")), 110, repeatable=False,
)  # fmt: skip
SGH_UNSEEN = Grid(
    "sgh-unseen",
    "The same four methods on people never seen: 64 bits, five seeds, equal steps and views",
    "faces", _unseen_cells, _run(COMPARED, ("unseen", "test", "validation")), 110, repeatable=False,
)  # fmt: skip
SGH_LONG = long_grid(
    "sgh-long",
    "SGH with 64 bits, trained for 100 epochs; its weights are kept",
    "faces", _long_cell, LongRun(LONG, _build_long, _judge_test, SIDE), 1500,
)  # fmt: skip
