"""What limits SPQ's long run: each network has its size, and each training goes on from the long run's weights."""

import torch

from retrieval_lib.experiments import Job, spq_after, spq_long
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.spq_trials import LONG_TRIALS, LONG_TRIED

CHOSEN = spq_long.CHOSEN


def jobs(name, digits):
    return [Job(cell, digits, cell.split(digits), "quick") for cell in GRIDS[name].cells("quick", digits)]


class Scored:
    scores, score_steps, snapshots = (0.5,), (0,), ()


def test_sizes_differ_from_the_recorded_trial_in_width_alone(digits, monkeypatch):
    seen = {}

    def train(method, images, split, settings, **_):
        widths = tuple(group.conv1.out_channels for group in method.backbone.groups)
        seen[job.cell.variant] = (widths, settings.steps, settings.weight_decay, method.settings)
        return Scored()

    monkeypatch.setattr(spq_after, "train", train)
    monkeypatch.setattr(spq_after, "budget_for", lambda profile, wanted: wanted)
    for job in jobs("spq-sizes", digits):
        values = GRIDS["spq-sizes"].run(job)
        assert all(value.search.startswith("validation") for value in values)
    assert {name: told[0] for name, told in seen.items()} == spq_after.SIZES
    assert LONG_TRIED.widths not in spq_after.SIZES.values()
    assert tuple(CHOSEN.values()) in LONG_TRIALS, "the size in between is recorded there"
    for _, steps, decay, settings in seen.values():
        assert (steps, decay) == (LONG_TRIED.steps, CHOSEN["weight_decay"])
        assert settings.temperature == CHOSEN["temperature"] and settings.balance == 0


def test_each_training_begins_with_the_weights_of_the_long_run(digits, spq_long_run, monkeypatch):
    seen = {}

    def train(method, images, split, settings, **_):
        assert all(torch.equal(w, method.state_dict()[name]) for name, w in spq_long_run.state_dict().items())
        assert settings.seed != job.cell.seed, "the long run's first batches would come again"
        seen[job.cell.variant] = (method.settings.balance, settings.steps)
        return Scored()

    monkeypatch.setattr(spq_after, "train", train)
    for job in jobs("spq-long-after", digits):
        GRIDS["spq-long-after"].run(job)
    assert {name: told[0] for name, told in seen.items()} == {"as before": 0, "balance 0.1": 0.1, "balance 1": 1.0}
    assert len({told[1] for told in seen.values()}) == 1


def test_a_tiny_one_is_trained_and_judged(digits, spq_long_run):
    for name, searches in (("spq-sizes", 0), ("spq-long-after", 4)):
        values = GRIDS[name].run(jobs(name, digits)[-1])
        assert sum(value.search == "test" for value in values) == searches
