"""GPQ on given features: it learns, it reads no hidden label, and the probe is an honest classifier."""

from dataclasses import replace

import pytest
import torch

from retrieval_lib.experiments import Job, gpq_pretrained
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.gpq_pretrained import FeatureInput, judge_probe, linear_probe, train_on_features
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import TrainingSettings

SCHEDULE = TrainingSettings(60, 50, learning_rate=2e-2, warm_up=2)


@pytest.fixture
def features(digits):
    """Noise, and in it which digit it is: a linear classifier can tell most of them apart."""
    noise = torch.randn(len(digits.labels), 20, generator=torch.Generator().manual_seed(0))
    return noise + 4 * torch.nn.functional.one_hot(digits.labels, 20)


@pytest.fixture
def split(digits):
    return GRIDS["gpq-pretrained-trials"].cells("quick", digits)[0].split(digits)


def trained(digits, split, features, **settings):
    method = GPQ(FeatureInput(20, 0.0), 10, GPQSettings(bits=16, **settings))
    train_on_features(method, features, digits, split, SCHEDULE)
    return method


def score(method, features, images, split):
    (value,) = gpq_pretrained.judge_features(method, features, images, split.searches["test"])
    return value.value


def test_it_learns_and_reads_no_label_but_those_of_the_training_images(digits, split, features):
    before = GPQ(FeatureInput(20, 0.0), 10, GPQSettings(bits=16)).eval()
    method = trained(digits, split, features)
    assert score(method, features, digits, split) > score(before, features, digits, split) + 0.2
    hidden = digits.labels.clone()
    others = torch.ones(len(hidden), dtype=torch.bool)
    others[split.train] = False
    hidden[others] = 9 - hidden[others]
    again = trained(replace(digits, labels=hidden), split, features)
    for name, weights in method.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name


def test_labels_alone_takes_no_unlabelled_features(digits, split, features):
    spoiled = features.clone()
    spoiled[split.unlabelled] = torch.nan
    method = trained(digits, split, spoiled, entropy=0.0)
    assert all(torch.isfinite(weights).all() for weights in method.parameters())


def test_dropout_is_drawn_from_the_schedules_seed(digits, split, features):
    def after(seed):
        torch.rand(1)  # the global random state does not matter
        method = GPQ(FeatureInput(20, 0.5), 10, GPQSettings(bits=16))
        train_on_features(method, features, digits, split, replace(SCHEDULE, steps=3, seed=seed))
        return method.head.weight

    assert torch.equal(after(0), after(0)) and not torch.equal(after(0), after(1))


def test_dropout_hides_features_in_training_only():
    layer, ones = FeatureInput(1000, 0.5), torch.ones(2, 1000)
    assert torch.equal(layer.eval()(ones), ones)
    assert 300 < (layer.train()(ones)[0] == 0).sum() < 700


def test_the_probe_learns_from_training_labels_and_is_judged_on_the_queries(digits, split, features):
    def judged(probe, labels):
        return [v.value for v in judge_probe(probe, features, replace(digits, labels=labels), split)]

    honest = linear_probe(features, digits, split)
    accuracy, found = judged(honest, digits.labels)
    assert 0.6 < accuracy <= 1.0 and 0.4 < found < accuracy
    wrong = digits.labels.clone()
    wrong[split.searches["test"].query] = (wrong[split.searches["test"].query] + 1) % 10
    assert max(judged(honest, wrong)) < 0.4
    shuffled = digits.labels.clone()
    shuffled[split.train] = (shuffled[split.train] + 1) % 10
    misled = linear_probe(features, replace(digits, labels=shuffled), split)
    assert judged(misled, digits.labels)[0] < 0.4


@pytest.mark.parametrize(("name", "search"), [("gpq-pretrained-trials", "held out"), ("gpq-pretrained", "test")])
def test_cells_of_both_grids(digits, features, monkeypatch, name, search):
    monkeypatch.setattr(gpq_pretrained, "standardised_features", lambda images, split: features)
    cells = GRIDS[name].cells("quick", digits)
    for cell in {(cell.method, cell.variant, len(cell.split_settings)): cell for cell in cells}.values():
        values = GRIDS[name].run(Job(cell, digits, cell.split(digits), "quick"))
        told = ["accuracy", "mAP"] if cell.method == "linear probe" else ["mAP"]
        assert [v.metric for v in values] == told
        assert all(v.search == search and 0.1 < v.value < 1 for v in values)


@pytest.mark.parametrize("variant", gpq_pretrained.VARIANTS)
def test_each_variant_takes_the_best_of_its_recorded_trials(best_trial, variant):
    settings, count = best_trial("gpq-pretrained-trials", lambda told: told["objective"] == variant)
    assert count == len(gpq_pretrained.TRIALS)
    assert settings == {"objective": variant, **gpq_pretrained.CHOSEN[variant]}
