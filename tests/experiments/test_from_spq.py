"""GPQ that starts from SPQ's network: the weights are those of the file, and without a file nothing is claimed."""

import pytest
import torch

from retrieval_lib.experiments import Job, from_spq
from retrieval_lib.experiments.catalogue import GRIDS


def job_of(name, images, variant=None, weights=None):
    cells = GRIDS[name].cells("quick", images)
    cell = next(c for c in cells if variant in (None, c.variant))
    return Job(cell, images, cell.split(images), "quick", weights)


def test_without_the_long_run_it_says_so(digits):
    with pytest.raises(FileNotFoundError, match=r"spq-long-mnist-quick.*record spq-long` first"):
        from_spq.spq_backbone(digits, "quick")


@pytest.fixture
def learned(digits, book, monkeypatch):
    """The network of a tiny long run, recorded."""
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    long = job_of("spq-long", digits)
    GRIDS["spq-long"].run(job_of("spq-long", digits, weights=book / "checkpoints" / long.cell.checkpoint))
    return from_spq.spq_backbone(digits, "quick")


def test_each_variant_is_what_its_name_says(digits, learned, monkeypatch):
    seen = {}

    def train(method, images, split, settings, *, initial, **_):
        network = {name: w.clone() for name, w in method.backbone.state_dict().items()}
        seen[tried] = (network, settings.steps, settings.backbone_rate, method.settings.entropy)

    monkeypatch.setattr(from_spq, "train", train)
    monkeypatch.setattr(from_spq, "judge_test", lambda *_: [])
    for tried in from_spq.VARIANTS:
        GRIDS["from-spq"].run(job_of("from-spq", digits, tried))
    for name, (network, *_) in seen.items():
        same = all(torch.equal(w, network[key]) for key, w in learned.state_dict().items())
        assert same == name.startswith("from SPQ"), name
    steps = seen["from SPQ"][1]
    assert seen["from SPQ, labels alone"][1] == 2 * steps and seen["from scratch"][1] == steps
    assert [name for name, told in seen.items() if told[3] == 0] == ["from SPQ, labels alone"]


def test_all_variants_learn_from_the_same_labels(digits):
    cells = GRIDS["from-spq"].cells("quick", digits)
    by_labels = {}
    for cell in cells:
        by_labels.setdefault((cell.seed, cell.split_settings["labels"]), []).append(cell)
    assert len(by_labels) == 3 * 2
    for alike in by_labels.values():
        assert [cell.variant for cell in alike] == list(from_spq.VARIANTS)
        assert len({cell.split(digits).hash for cell in alike}) == 1


def test_what_was_chosen_was_tried(digits):
    told = [dict(cell.settings) for cell in GRIDS["from-spq-trials"].cells("quick", digits)]
    assert all({"start": start, **from_spq.CHOSEN[start]} in told for start in from_spq.STARTS)


@pytest.mark.parametrize(("name", "search"), [("from-spq-trials", "held out"), ("from-spq", "test")])
def test_a_tiny_cell_of_each_grid(digits, learned, name, search):
    values = GRIDS[name].run(job_of(name, digits))
    assert {value.search for value in values} == {search} and all(0.1 < value.value <= 1 for value in values)
