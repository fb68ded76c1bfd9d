"""GPQ that starts from SPQ's network: the weights are those of the file, and without a file nothing is claimed."""

import pytest
import torch

from retrieval_lib.experiments import Job, Value, from_spq, gpq_long
from retrieval_lib.experiments.catalogue import GRIDS


def job_of(name, images, variant=None):
    cells = GRIDS[name].cells("quick", images)
    cell = next(c for c in cells if variant in (None, c.variant))
    return Job(cell, images, cell.split(images), "quick")


def test_without_the_long_run_it_says_so(digits):
    with pytest.raises(
        FileNotFoundError, match=r"no record of weights for mnist in the profile quick.*record spq-long` first"
    ):
        from_spq.spq_backbone(digits, "quick")


@pytest.fixture
def learned(spq_long_run):
    """The network of a tiny long run, recorded."""
    return spq_long_run.backbone


def test_each_variant_is_what_its_name_says(digits, learned, monkeypatch):
    seen = {}

    def train(method, images, split, settings, *, initial, **_):
        network = {name: w.clone() for name, w in method.backbone.state_dict().items()}
        seen[tried] = (network, settings.steps, settings.backbone_rate, method.settings.entropy)

    settled = []
    monkeypatch.setattr(from_spq, "train", train)
    monkeypatch.setattr(from_spq, "judge_test", lambda *_: [])
    monkeypatch.setattr(from_spq, "settle_batch_statistics", lambda network, _: settled.append(network))
    for tried in from_spq.VARIANTS:
        GRIDS["from-spq"].run(job_of("from-spq", digits, tried))
    for name, (network, *_) in seen.items():
        same = all(torch.equal(w, network[key]) for key, w in learned.state_dict().items())
        assert same == name.startswith("from SPQ"), name
    steps = seen["from SPQ"][1]
    assert seen["from scratch"][1] == steps
    alone = [name for name, told in seen.items() if told[3] == 0]
    assert alone == [
        f"{start}, labels alone, {kind}" for start in from_spq.STARTS for kind in ("equal steps", "equal views")
    ]
    assert [seen[name][1] for name in alone] == 2 * [steps, 2 * steps]
    assert len(settled) == len(from_spq.VARIANTS)


def test_all_variants_learn_from_the_same_labels(digits):
    cells = [cell for cell in GRIDS["from-spq"].cells("quick", digits) if cell.method == "GPQ"]
    by_labels = {}
    for cell in cells:
        by_labels.setdefault((cell.seed, cell.split_settings["labels"]), []).append(cell)
    assert len(by_labels) == 3 * 2
    for alike in by_labels.values():
        assert [cell.variant for cell in alike] == list(from_spq.VARIANTS)
        assert len({cell.split(digits).hash for cell in alike}) == 1


def test_the_probe_reads_the_features_of_spq_s_network_and_of_no_other(digits, learned, monkeypatch):
    monkeypatch.setattr(from_spq, "judge_probe", lambda probe, features, images, split: [probe, features])
    job = job_of("from-spq", digits, "SPQ's features")
    probe, features = GRIDS["from-spq"].run(job)
    with torch.no_grad():
        own = learned.eval()(digits.images[job.split.train].float() / 255)
    shown = features[job.split.train]
    assert torch.corrcoef(torch.stack([own[:, 0], shown[:, 0]]))[0, 1] > 0.999
    assert probe.n_features_in_ == learned.dimension


@pytest.mark.parametrize("start", from_spq.STARTS)
def test_each_start_takes_the_best_of_its_recorded_trials(best_trial, start):
    settings, count = best_trial("from-spq-trials", lambda told: told["start"] == start)
    assert count == len(from_spq.TRIALS)
    assert settings == {"start": start, **from_spq.CHOSEN[start]}


def test_longer_trainings_have_the_view_and_the_decay_that_they_name(digits, learned, monkeypatch):
    seen, settled = [], []

    def train(method, images, split, settings, *, initial, **_):
        seen.append((initial, method.settings.view, settings.weight_decay, settings.steps, settings.learning_rate))

    monkeypatch.setattr(from_spq, "train", train)
    monkeypatch.setattr(from_spq, "judge_test", lambda *_: [])
    monkeypatch.setattr(from_spq, "held_out", lambda *_: Value(0.5, "mAP", "held out"))
    monkeypatch.setattr(from_spq, "budget_for", lambda profile, wanted: wanted)
    monkeypatch.setattr(from_spq, "spq_backbone", lambda *_: learned)
    monkeypatch.setattr(from_spq, "settle_batch_statistics", lambda network, _: settled.append(network))
    rates = [from_spq.CHOSEN[start]["learning_rate"] for start in from_spq.STARTS]
    expected = []
    for start, rate in zip(from_spq.STARTS, (rates[0], gpq_long.LONG.learning_rate), strict=True):
        GRIDS["from-spq-longer"].run(job_of("from-spq-longer", digits, start))
        told = from_spq.LONGER_CHOSEN[start]
        expected.append((start, from_spq.LONGER_VIEWS[told["view"]], told["weight_decay"], gpq_long.LONG.steps, rate))
    for view, decay in from_spq.LONGER_TRIALS:
        cell = next(
            c
            for c in GRIDS["from-spq-longer-trials"].cells("quick", digits)
            if c.variant.startswith(f"{view}, weight decay {decay:g}")
        )
        values = GRIDS["from-spq-longer-trials"].run(Job(cell, digits, cell.split(digits), "quick"))
        assert [(value.search, value.value) for value in values] == [("held out", 0.5)]
        expected.append(("from SPQ", from_spq.LONGER_VIEWS[view], decay, from_spq.LONGER_TRIED.steps, rates[0]))
    cells = GRIDS["from-spq-longer-trials"].cells("quick", digits)[len(from_spq.LONGER_TRIALS) :]
    chosen = from_spq.LONGER_CHOSEN["from SPQ"]
    for cell, (rate, steps) in zip(cells, from_spq.LONGER_RATES, strict=True):
        GRIDS["from-spq-longer-trials"].run(Job(cell, digits, cell.split(digits), "quick"))
        expected.append(("from SPQ", from_spq.LONGER_VIEWS[chosen["view"]], chosen["weight_decay"], steps, rate))
    for start in from_spq.STARTS:
        GRIDS["from-spq-shorter"].run(job_of("from-spq-shorter", digits, start))
        told = from_spq.LONGER_CHOSEN[start]
        expected.append((start, from_spq.LONGER_VIEWS[told["view"]], told["weight_decay"], 2000, 5e-3))
    assert seen == expected and len(settled) == len(expected)


def test_the_longer_training_takes_the_best_of_its_recorded_views_and_decays(best_trial):
    settings, count = best_trial("from-spq-longer-trials", lambda told: "steps" not in told)
    assert count == len(from_spq.LONGER_TRIALS) == len(gpq_long.TRIALS)  # as many as the other start
    assert settings == from_spq.LONGER_CHOSEN["from SPQ"]
    assert gpq_long.CHOSEN.items() <= from_spq.LONGER_CHOSEN["from scratch"].items()


def test_the_shorter_training_takes_the_best_of_all_recorded_trials(best_trial):
    settings, _ = best_trial("from-spq-longer-trials")
    assert settings == {**from_spq.SHORTER_CHOSEN["from SPQ"], "steps": from_spq.SHORTER.steps}


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("from-spq-trials", "held out"),
        ("from-spq", "test"),
        ("from-spq-longer-trials", "held out"),
        ("from-spq-longer", "test"),
        ("from-spq-shorter", "test"),
    ],
)
def test_a_tiny_cell_of_each_grid(digits, learned, name, search):
    values = GRIDS[name].run(job_of(name, digits))
    assert {value.search for value in values} == {search} and all(0.1 < value.value <= 1 for value in values)
