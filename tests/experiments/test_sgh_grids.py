"""The grids of faces: their cells, and tiny cells, trained and judged."""

import math
from dataclasses import asdict

import pytest

from retrieval_lib.data import load
from retrieval_lib.experiments import Job, sgh
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.sgh import CONTESTANTS


@pytest.fixture(scope="module")
def faces():
    return load("orl")


def cells(name, faces):
    return GRIDS[name].cells("quick", faces)


def test_all_contestants_have_as_many_trials_and_the_defaults_are_one_of_them():
    assert {len(contestant.trials) for contestant in CONTESTANTS.values()} == {6}
    assert all(contestant.trials[0] == {} for contestant in CONTESTANTS.values())


def test_every_trial_is_another_method_or_another_rate(faces):
    split = cells("sgh-trials", faces)[0].split(faces)
    small = faces.resized(sgh.SIDE)
    seen = set()
    for name, contestant in CONTESTANTS.items():
        for trial in contestant.trials:
            changes = {key: value for key, value in trial.items() if key != "learning_rate"}
            made = sgh.build(name, small, split, sgh.budget_for("quick", sgh.TRIED), 16, 0, changes)
            seen.add((name, str(asdict(made.settings)), trial.get("learning_rate", sgh.TRIED.learning_rate)))
            assert len(made.views) == 2
    assert len(seen) == 6 * len(CONTESTANTS)


def test_classification_only_keeps_everything_but_the_similarities(faces):
    split = cells("sgh-methods", faces)[0].split(faces)
    small = faces.resized(sgh.SIDE)
    ours, plain = (
        asdict(sgh.build(name, small, split, sgh.budget_for("quick", sgh.TRIED), 16, 0, {}).settings)
        for name in ("SGH", "classification only")
    )
    assert {key for key in ours if ours[key] != plain[key]} == {"self_similarity", "pairwise"}


def test_trials_are_judged_on_the_validation_part_alone(faces):
    cell = cells("sgh-trials", faces)[1]
    values = GRIDS["sgh-trials"].run(Job(cell, faces, cell.split(faces), "quick"))
    assert [value.search for value in values] == ["validation"]


@pytest.mark.parametrize("number", range(4))
def test_a_tiny_cell_of_each_contestant_is_trained_and_judged(faces, number):
    cell = cells("sgh-methods", faces)[number]
    values = GRIDS["sgh-methods"].run(Job(cell, faces, cell.split(faces), "quick"))
    assert [value.search for value in values] == ["test", "validation"] and {value.k for value in values} == {None}
    assert all(0 < value.value <= 1 and math.isfinite(value.value) for value in values)
    assert cell.method == list(CONTESTANTS)[number]
