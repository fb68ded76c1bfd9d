"""The grids of GPQ: their cells, and a tiny one trained and judged."""

import pytest

from retrieval_lib.experiments import Job, gpq
from retrieval_lib.experiments.catalogue import GRIDS


def test_every_trial_is_another_setting_that_the_loop_gets(digits, monkeypatch):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append((method.settings.view, method.settings.entropy, settings.steps, settings.learning_rate))
        return Scored()

    monkeypatch.setattr(gpq, "train", train)
    monkeypatch.setattr(gpq, "budget_for", lambda profile, wanted: wanted)
    cells = GRIDS["gpq-trials"].cells("quick", digits)
    for cell in cells:
        values = GRIDS["gpq-trials"].run(Job(cell, digits, cell.split(digits), "quick"))
        assert {value.search for value in values} == {"validation", "held out"}, "never the test queries"
    assert seen == [(gpq.VIEWS[view], *rest) for view, *rest in gpq.TRIALS]
    assert len({cell.variant for cell in cells}) == len(cells)


class Scored:
    scores = (0.5,)


def test_labels_and_variants(digits):
    cells = GRIDS["gpq-labels"].cells("quick", digits)
    assert len(cells) == 3 * 2 * 3
    for cell in cells:
        split = cell.split(digits)
        held_out = len(split.searches["validation"].query) if "validation" in split.searches else 0
        assert len(split.train) + held_out == cell.split_settings["labels"]
    bits = {(cell.bits, cell.seed) for cell in GRIDS["gpq-bits"].cells("quick", digits)}
    assert bits == {(b, s) for b in (12, 24, 32, 48) for s in range(3)}


def test_labels_alone_see_as_many_steps_or_as_many_images(digits, monkeypatch):
    ran = {}

    def train(method, images, split, settings, **_):
        views = len(method.views) + len(method.unlabelled_views)
        ran[cell.variant] = (settings.steps, settings.steps * settings.batch_size * views)

    monkeypatch.setattr(gpq, "train", train)
    monkeypatch.setattr(gpq, "judge_test", lambda *_: [])
    for cell in GRIDS["gpq-labels"].cells("quick", digits)[:3]:
        GRIDS["gpq-labels"].run(Job(cell, digits, cell.split(digits), "quick"))
    assert ran["labels alone, equal steps"][0] == ran["GPQ"][0]
    assert ran["labels alone, equal views"][1] == ran["GPQ"][1]


def test_the_live_run_is_recorded_as_the_page_trains_it(digits, repository):
    cells = GRIDS["gpq-live"].cells("quick", digits)
    assert [(cell.bits, cell.seed) for cell in cells] == [(48, 0), (48, 1), (48, 2)]
    told = gpq.LIVE.training(0, cells[0].split(digits))
    page = (repository / "book" / "src" / "gpq_semi_supervised.py").read_text()
    shown = f"{told.steps}, 128, learning_rate={told.learning_rate:g}, warm_up={told.warm_up}"
    assert shown.replace("0.005", "5e-3") in page and f"({', '.join(map(str, gpq.WIDTHS))}) if large" in page


@pytest.mark.parametrize(("name", "values"), [("gpq-labels", 2), ("gpq-live", 2), ("gpq-bits", 5)])
def test_a_tiny_cell_is_trained_and_judged_on_the_test_queries(digits, name, values):
    cell = GRIDS[name].cells("quick", digits)[0]
    found = GRIDS[name].run(Job(cell, digits, cell.split(digits), "quick"))
    assert len(found) == len({value.name for value in found}) == values
    assert all(value.search == "test" and value.k is None and 0.1 < value.value <= 1 for value in found)


def test_a_tiny_trial_is_trained(digits):
    cell = GRIDS["gpq-trials"].cells("quick", digits)[0]
    values = GRIDS["gpq-trials"].run(Job(cell, digits, cell.split(digits), "quick"))
    assert all(0.1 < value.value <= 1 for value in values)
