"""The rate rises to its last step, and use and score are taken side by side; a far too high rate collapses the codebooks."""

from dataclasses import replace

import pytest

from retrieval_lib.experiments import Job, spq_collapse
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.training import learning_rate, train

GRID = GRIDS["spq-collapse"]


@pytest.fixture
def ran(digits, monkeypatch):
    """A function from a highest rate to the settings of its training and its values by metric and step."""

    def run(rate):
        seen = []

        def watched(method, images, split, settings, **more):
            seen.append((method.settings, settings))
            return train(method, images, split, settings, **more)

        monkeypatch.setattr(spq_collapse, "train", watched)
        cell = GRID.cells("quick", digits)[0]
        cell = replace(cell, settings={**cell.settings, "learning_rate": rate})
        values = GRID.run(Job(cell, digits, cell.split(digits), "quick"))
        return *seen[0], {(value.metric, int(value.search.rpartition(" ")[2])): value.value for value in values}

    return run


def test_the_rate_rises_over_the_whole_training(ran):
    method, training, values = ran(0.005)
    rates = [learning_rate(training, step) for step in range(training.steps)]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.005) and rates[0] < 0.005 / (training.steps - 2)
    assert method.temperature == spq_collapse.PUBLISHED_TEMPERATURE and method.balance == 0
    steps = sorted({step for _, step in values})
    assert steps[0] == 0 and steps[-1] == training.steps and len(values) == 3 * len(steps)


def test_a_far_too_high_rate_collapses_the_codebooks(ran):
    *_, usual = ran(0.005)
    *_, broken = ran(5.0)
    last = max(step for _, step in usual)
    assert broken["perplexity, mean over codebooks", last] < 1.5 < usual["perplexity, mean over codebooks", last]
    assert broken["codewords not in use", last] > 7 * 15 - 8 > usual["codewords not in use", last]


def test_each_rate_has_three_seeds(digits):
    cells = GRID.cells("quick", digits)
    assert {(c.settings["learning_rate"], c.seed) for c in cells} == {
        (rate, seed) for rate in spq_collapse.HIGHEST for seed in range(3)
    }
    assert len(cells) == 9
