"""GPQ's terms and conditions: each changes one thing, and the signs of collapse show what they are named after."""

import math

import pytest
import torch

from retrieval_lib.experiments import Job, gpq, gpq_terms
from retrieval_lib.experiments.budgets import TINY
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.gpq import GPQSettings

CHANGED = {
    "without N-pair": {"pairs": 0.0},
    "without N-pair, classification in full": {"pairs": 0.0, "classification": 1.0},
    "without classification": {"classification": 0.0},
    "without entropy": {"entropy": 0.0},
    "N-pair alone": {"classification": 0.0, "entropy": 0.0},
    "GPQ": {},
    "entropy x 0.3": {"entropy": 0.03},
    "entropy that grows": {"ramp": 1.0},
    "entropy without the game": {"minimax": False},
    "stronger views": {"view": gpq.VIEWS["cropped"]},
    "stronger views, labels alone": {"view": gpq.VIEWS["cropped"], "entropy": 0.0},
    "stronger views, labels alone, equal steps": {"view": gpq.VIEWS["cropped"], "entropy": 0.0},
    "three times as long": {},
    "three times as long, labels alone": {"entropy": 0.0},
    "three times as long, labels alone, equal steps": {"entropy": 0.0},
}


def test_each_variant_changes_what_its_name_says(digits, monkeypatch):
    ran = {}

    def train(method, images, split, settings, **_):
        views = len(method.views) + len(method.unlabelled_views)
        ran[tried] = (method.settings, settings.steps * views, settings.steps)

    monkeypatch.setattr(gpq, "train", train)
    cells = GRIDS["gpq-terms"].cells("quick", digits)
    for cell in cells:
        if cell.seed == 0 and cell.split_settings["labels"] == 100:
            tried = cell.variant
            GRIDS["gpq-terms"].run(Job(cell, digits, cell.split(digits), "quick"))
    published = vars(GPQSettings(bits=48))
    changed = {
        name: {key: value for key, value in vars(settings).items() if value != published[key]}
        for name, (settings, *_) in ran.items()
    }
    assert changed == CHANGED
    seen = {name: views for name, (_, views, _) in ran.items()}
    assert seen["stronger views"] == seen["stronger views, labels alone"] == seen["GPQ"], "equal views"
    assert seen["three times as long"] == seen["three times as long, labels alone"] == 3 * seen["GPQ"]
    steps = {name: steps for name, (_, _, steps) in ran.items()}
    for condition in ("stronger views", "three times as long"):
        assert steps[condition] == steps[f"{condition}, labels alone, equal steps"]


def test_terms_are_left_out_with_many_labels_and_conditions_are_tried_with_both_numbers(digits):
    cells = GRIDS["gpq-terms"].cells("quick", digits)
    tried = {(c.split_settings["labels"], c.variant) for c in cells}
    assert tried == {(100, name) for name in CHANGED} | {(70, name) for name in gpq_terms.CONDITIONS}
    assert len(cells) == 3 * len(tried) and {cell.seed for cell in cells} == {0, 1, 2}


@pytest.fixture
def method(digits):
    cell = GRIDS["gpq-terms"].cells("quick", digits)[0]
    return gpq.build(digits, cell.split(digits), TINY, GPQSettings(bits=16), 0)


def test_the_signs_of_collapse_are_seen(digits, method):
    descriptors = describe(method, digits.images[:300])
    usual = {value.metric: value.value for value in gpq_terms.signs_of_collapse(method, descriptors)}
    assert 0 < usual["entropy"] < usual["entropy of the mean"] <= math.log(10) + 1e-6
    assert 1 <= usual["perplexity, least codebook"] <= usual["perplexity, mean over codebooks"] <= 16
    one = descriptors[:1].expand(300, -1)  # all images alike
    same = {value.metric: value.value for value in gpq_terms.signs_of_collapse(method, one)}
    assert same["entropy"] == pytest.approx(same["entropy of the mean"], abs=1e-5)
    assert same["perplexity, mean over codebooks"] == pytest.approx(1)
    with torch.no_grad():
        method.prototypes[:] = method.prototypes[:, :1]  # all classes alike: nothing can be told
    nothing = {value.metric: value.value for value in gpq_terms.signs_of_collapse(method, descriptors)}
    assert nothing["entropy"] == pytest.approx(math.log(10), abs=1e-4)


def test_a_tiny_cell_is_judged_in_all_its_ways(digits):
    cell = GRIDS["gpq-terms"].cells("quick", digits)[0]
    values = GRIDS["gpq-terms"].run(Job(cell, digits, cell.split(digits), "quick"))
    assert [(value.metric, value.search) for value in values] == [
        ("mAP", "test"),
        ("mAP without a code", "test"),
        ("entropy", "unlabelled"),
        ("entropy of the mean", "unlabelled"),
        ("perplexity, mean over codebooks", "unlabelled"),
        ("perplexity, least codebook", "unlabelled"),
    ]
