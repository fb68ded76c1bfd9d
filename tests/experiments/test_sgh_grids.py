"""The grids of faces: their cells, and tiny cells, trained and judged."""

import math
from dataclasses import asdict

import pytest

from retrieval_lib.data import load
from retrieval_lib.experiments import Job, read_results, sgh
from retrieval_lib.experiments.budgets import budget_for
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.face_methods import CONTESTANTS, SIDE, build, words


@pytest.fixture(scope="module")
def faces():
    return load("orl")


def cells(name, faces):
    return GRIDS[name].cells("quick", faces)


def test_all_contestants_have_as_many_trials_of_the_same_rates():
    assert {len(contestant.trials) for contestant in CONTESTANTS.values()} == {8}
    rates = {tuple("learning_rate" in trial for trial in contestant.trials) for contestant in CONTESTANTS.values()}
    assert len(rates) == 1


def test_the_chosen_trial_is_the_one_with_the_best_recorded_score(repository, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_ROOT", str(repository))
    trials = read_results("sgh-trials", dataset="lfw")
    for name, contestant in CONTESTANTS.items():
        own = trials[trials.method == name]
        assert len(own) == len(contestant.trials)
        assert own.loc[own.value.idxmax()].variant == words(contestant.trials[contestant.chosen])


def test_every_trial_is_another_method_or_another_rate(faces):
    split = cells("sgh-trials", faces)[0].split(faces)
    small = faces.resized(SIDE)
    seen = set()
    for name, contestant in CONTESTANTS.items():
        for trial in contestant.trials:
            changes = {key: value for key, value in trial.items() if key != "learning_rate"}
            made = build(name, small, split, budget_for("quick", sgh.TRIED), 16, 0, changes)
            seen.add((name, str(asdict(made.settings)), trial.get("learning_rate", sgh.TRIED.learning_rate)))
            assert len(made.views) == 2
    assert len(seen) == 8 * len(CONTESTANTS)


def test_classification_only_keeps_everything_but_the_similarities(faces):
    split = cells("sgh-methods", faces)[0].split(faces)
    small = faces.resized(SIDE)
    ours, plain = (
        asdict(build(name, small, split, budget_for("quick", sgh.TRIED), 16, 0, {}).settings)
        for name in ("SGH", "classification only")
    )
    assert {key for key in ours if ours[key] != plain[key]} == {"self_similarity", "pairwise"}


def test_trials_are_judged_on_people_who_are_neither_trained_on_nor_judged_at_the_end(faces):
    cell = cells("sgh-trials", faces)[1]
    split = cell.split(faces)
    values = GRIDS["sgh-trials"].run(Job(cell, faces, split, "quick"))
    assert [value.search for value in values] == ["validation"]
    chosen_on = set(faces.labels[split.searches["validation"].query].tolist())
    assert not chosen_on & set(faces.labels[split.train].tolist())
    assert not chosen_on & set(faces.labels[split.searches["unseen"].query].tolist())


@pytest.mark.parametrize("number", range(4))
def test_a_tiny_cell_of_each_contestant_is_trained_and_judged(faces, number):
    cell = cells("sgh-methods", faces)[number]
    split = cell.split(faces)
    values = GRIDS["sgh-methods"].run(Job(cell, faces, split, "quick"))
    assert [value.search for value in values] == ["test", "unseen", "validation"]
    assert {value.k for value in values} == {None}
    assert all(0 < value.value <= 1 and math.isfinite(value.value) for value in values)
    assert cell.method == list(CONTESTANTS)[number]


@pytest.mark.parametrize("name", ["sgh-terms", "sgh-views", "sgh-bits"])
def test_cells_have_five_seeds_and_differ(faces, name):
    made = cells(name, faces)
    assert {cell.seed for cell in made} == set(range(5))
    told = {str((cell.method, cell.bits, sorted(cell.settings.items()), cell.seed)) for cell in made}
    assert len(told) == len(made)


def test_a_step_sees_as_many_views_whatever_their_number_of_an_image():
    seen = {v["view_count"] * v["batch_size"] for v in sgh.VIEWS.values()}
    assert seen == {2 * sgh.COMPARED.batch_size}
