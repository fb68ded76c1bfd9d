"""The trials of the long runs: each is another setting, none reads a test query, and what was taken was tried."""

from dataclasses import replace

import pytest

from retrieval_lib.augmentation import DHD_STRONG, MIRRORED, SHIFTED
from retrieval_lib.data import load
from retrieval_lib.experiments import Job, dhd_long, gpq, gpq_long, spq, spq_long, spq_trials
from retrieval_lib.experiments.catalogue import GRIDS

TEACHERS = (DHD_STRONG.weakened(0.2), DHD_STRONG.weakened(0.5), SHIFTED, MIRRORED)
TRIED = {
    dhd_long: {(view, decay) for view in TEACHERS for decay in dhd_long.DECAYS},
    gpq_long: {(gpq_long.VIEWS[view], decay) for view, decay in gpq_long.TRIALS},
}


class Scored:
    scores = (0.5,)


@pytest.mark.parametrize(("name", "module"), [("dhd-long-trials", dhd_long), ("gpq-long-trials", gpq_long)])
def test_trials_differ_in_view_and_decay_and_read_held_out_images_alone(digits, monkeypatch, name, module):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append((method.views[0], settings.weight_decay))
        return Scored()

    monkeypatch.setattr(module, "train", train)
    cells = GRIDS[name].cells("quick", digits)
    for cell in cells:
        split = cell.split(digits)
        others = digits.labels.clone()
        others[split.searches["test"].query] = 9 - others[split.searches["test"].query]
        values = GRIDS[name].run(Job(cell, replace(digits, labels=others), split, "quick"))
        assert values == GRIDS[name].run(Job(cell, digits, split, "quick"))
        assert {value.search for value in values} <= {"held out", "validation"}
    assert set(seen) == TRIED[module]
    assert len({cell.variant for cell in cells}) == len(cells)


def test_longer_trials_of_spq_are_judged_on_the_validation_part_alone(digits, monkeypatch):
    decays, train = [], spq_trials.train

    def noted(method, images, split, settings, **told):
        decays.append(settings.weight_decay)
        return train(method, images, split, settings, **told)

    monkeypatch.setattr(spq_trials, "train", noted)
    cells = GRIDS["spq-long-trials"].cells("quick", digits)
    tried = [(spq.settings_of(cell).view, spq.settings_of(cell).temperature) for cell in cells]
    assert tried == [(spq.VIEWS[view], temperature) for view, temperature, _ in spq_trials.LONG_TRIALS]
    values = GRIDS["spq-long-trials"].run(Job(cells[-1], digits, cells[-1].split(digits), "quick"))
    assert decays == [spq_trials.LONG_TRIALS[-1][2]]
    assert len(values) == 1 + 2 * (1 + spq.EVALUATIONS)
    assert all(value.search.startswith("validation") for value in values)


@pytest.mark.parametrize(
    ("name", "taken"),
    [("dhd-long-trials", dhd_long.SECOND), ("gpq-long-trials", gpq_long.CHOSEN), ("spq-long-trials", spq_long.CHOSEN)],
)
def test_what_a_long_run_takes_was_tried(digits, name, taken):
    tried = [cell.settings for cell in GRIDS[name].cells("quick", digits)]
    assert any(taken.items() <= settings.items() for settings in tried)


@pytest.mark.parametrize(
    ("name", "search", "taken"),
    [("gpq-long-trials", "held out", gpq_long.CHOSEN), ("spq-long-trials", "validation", spq_long.CHOSEN)],
)
def test_a_long_run_takes_the_best_of_its_recorded_trials(best_trial, name, search, taken):
    settings, count = best_trial(name, search=search)
    assert count == len(GRIDS[name].cells("book", load("mnist")))
    assert settings == taken


def test_longer_trainings_of_gpq_are_as_the_best_trial_but_for_the_unlabelled_images(digits, monkeypatch):
    seen = {}

    def train(method, images, split, settings, **_):
        views = len(method.views) + len(method.unlabelled_views)
        seen[cell.variant] = (method.views[0], settings.weight_decay, settings.steps, settings.steps * views)

    monkeypatch.setattr(gpq, "train", train)
    monkeypatch.setattr(gpq, "budget_for", lambda profile, wanted: wanted)
    settled = []
    monkeypatch.setattr(gpq_long, "settle_batch_statistics", lambda network, _: settled.append(network))
    monkeypatch.setattr(
        gpq_long, "judge_test", lambda method, *_, refitted, seed: [(refitted, seed, method.backbone is settled[-1])]
    )
    cells = GRIDS["gpq-longer"].cells("quick", digits)
    for cell in cells:
        assert GRIDS["gpq-longer"].run(Job(cell, digits, cell.split(digits), "quick")) == [(True, cell.seed, True)]
    assert {(told[0], told[1]) for told in seen.values()} == {
        (gpq_long.VIEWS[gpq_long.CHOSEN["view"]], gpq_long.CHOSEN["weight_decay"])
    }
    (_, _, steps, views), (_, _, equal_steps, _), (_, _, _, equal_views) = (seen[name] for name in gpq.ALONE)
    assert (steps, views) == (equal_steps, equal_views) and steps == gpq_long.TRIED.steps
    assert len(cells) == 9 and {cell.seed for cell in cells} == {0, 1, 2}
