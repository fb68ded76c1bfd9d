"""The methods that hash faces, as they are compared: alike in network, batches and views, each with its own trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from retrieval_lib.augmentation import FACES
from retrieval_lib.backbones import Backbone
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.budgets import Budget, machine_device, whitened_network
from retrieval_lib.experiments.judging import among_held_out, judge_method
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method
from retrieval_lib.methods.block_hashing import BlockHashing, BlockHashingSettings
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.methods.sgh import SGH, SGHSettings

SIDE = 32  # pixels: the faces that the networks see, as small as those of DCBH (ACCV 2018)
CELLS = 3  # rows and columns of the grid that a descriptor keeps: faces are aligned


def _sgh(backbone: Backbone, classes: int, bits: int, seed: int, changes: Mapping) -> Method:
    return SGH(backbone, classes, SGHSettings(bits=bits, **{"images_per_class": 0, **changes}), seed)


def _classification(backbone: Backbone, classes: int, bits: int, seed: int, changes: Mapping) -> Method:
    settings = SGHSettings(bits=bits, **{"images_per_class": 0, **changes}).classification_only()
    return SGH(backbone, classes, settings, seed)


def _dhd(backbone: Backbone, classes: int, bits: int, seed: int, changes: Mapping) -> Method:
    return DHD(backbone, classes, DHDSettings(bits=bits, strong=FACES, **changes), seed)


def _blocks(backbone: Backbone, classes: int, bits: int, seed: int, changes: Mapping) -> Method:
    return BlockHashing(backbone, classes, BlockHashingSettings(bits=bits, view_count=2, **changes), seed)


@dataclass(frozen=True)
class Contestant:
    """A method as it is compared: all see two views of each image, in batches of the same size.

    Attributes:
        make: a new method, of a backbone, the number of people, bits, a seed and changed settings.
        trials: what was tried, judged on people held out of the training: changed settings, `learning_rate` among them.
        chosen: the one of the trials with the best validation score (grid `sgh-trials`).
    """

    make: Callable[[Backbone, int, int, int, Mapping], Method]
    trials: tuple[dict, ...]
    chosen: int


GENTLE_FIRST = {"first_strength": 0.2}
CONTESTANTS: dict[str, Contestant] = {
    "SGH": Contestant(
        _sgh,
        (
            GENTLE_FIRST,
            {**GENTLE_FIRST, "learning_rate": 1e-2},
            {"first_strength": 0.5},
            {"first_strength": 0.0},
            {**GENTLE_FIRST, "supervise": "first"},
            {**GENTLE_FIRST, "supervise": "first", "learning_rate": 1e-2},
            {**GENTLE_FIRST, "self_similarity": 0.5, "pairwise": 0.5},
            {**GENTLE_FIRST, "images_per_class": 2},
        ),
        6,
    ),
    "classification only": Contestant(
        _classification,
        (
            GENTLE_FIRST,
            {**GENTLE_FIRST, "learning_rate": 1e-2},
            {"first_strength": 0.5},
            {"first_strength": 0.0},
            {**GENTLE_FIRST, "supervise": "first"},
            {**GENTLE_FIRST, "supervise": "first", "learning_rate": 1e-2},
            {**GENTLE_FIRST, "temperature": 0.1},
            {**GENTLE_FIRST, "quantization": 0.0},
        ),
        1,
    ),
    "DHD": Contestant(
        _dhd,
        (
            {"teacher_strength": 0.2},
            {"teacher_strength": 0.2, "learning_rate": 1e-2},
            {"teacher_strength": 0.5},
            {"teacher_strength": 0.0},
            {"teacher_strength": 0.2, "supervise": "both"},
            {"teacher_strength": 0.2, "supervise": "both", "learning_rate": 1e-2},
            {"teacher_strength": 0.2, "distillation": 0.5},
            {"teacher_strength": 0.2, "temperature": 0.1},
        ),
        5,
    ),
    "block hashing": Contestant(
        _blocks,
        (
            GENTLE_FIRST,
            {**GENTLE_FIRST, "learning_rate": 1e-2},
            {"first_strength": 0.5},
            {"first_strength": 0.0},
            {**GENTLE_FIRST, "descriptor_classification": 0.0},
            {**GENTLE_FIRST, "descriptor_classification": 0.0, "learning_rate": 1e-2},
            {**GENTLE_FIRST, "centre": 0.0},
            {**GENTLE_FIRST, "centre": 1e-3},
        ),
        5,
    ),
}


def build(name: str, images: ImageSet, split: Split, budget: Budget, bits: int, seed: int, changes: Mapping) -> Method:
    """A new contestant on the fast network, for images of `SIDE` pixels.

    Args:
        name: one of `CONTESTANTS`.
        images: brought to `SIDE` pixels.
        split: its training images give the first layer.
        budget: the network's widths.
        bits: length of a code.
        seed: of the initial weights.
        changes: of the method's settings.
    """
    device = machine_device()
    backbone = whitened_network(images, split.train, budget.widths, seed, device, cells=CELLS)
    return CONTESTANTS[name].make(backbone, len(images.class_names), bits, seed, changes).to(device)


def judge_faces(method: Method, images: ImageSet, split: Split, searches: Sequence[str]) -> list[Value]:
    """mAP over the whole ranking in each of the named searches, tie-aware."""
    values = []
    for name in searches:
        rules = {"k": None, "divisors": ("retrieved",), "ties": ("expected",)}
        values += judge_method(method, images, split.searches[name], name, **rules)
    return values


def judge_validation_people(method: Method, images: ImageSet, split: Split) -> Value:
    """mAP over the whole ranking among people held out of the training: all their images, each half the other."""
    search = split.searches["validation"]
    score = among_held_out(method, images, torch.cat([search.query, search.database]))
    return Value(score, "mAP", "validation", None, "retrieved", "expected")


def chosen_settings(name: str) -> dict:
    """The settings of a contestant that its trials chose."""
    contestant = CONTESTANTS[name]
    return contestant.trials[contestant.chosen]


def words(changes: Mapping) -> str:
    """Changed settings in words."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in changes.items()) or "the defaults"
