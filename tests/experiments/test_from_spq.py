"""GPQ that starts from SPQ's network: the weights are those of the file, and without a file nothing is claimed."""

import pytest
import torch

from retrieval_lib.experiments import Job, from_spq
from retrieval_lib.experiments.catalogue import GRIDS


def job_of(name, images, number=0, weights=None):
    cell = GRIDS[name].cells("quick", images)[number]
    return Job(cell, images, cell.split(images), "quick", weights)


def test_without_the_long_run_it_says_so(digits):
    with pytest.raises(FileNotFoundError, match="spq-long-mnist-quick"):
        from_spq.spq_backbone(digits, "quick")


def test_it_starts_from_the_weights_of_the_long_run(digits, book, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    long = job_of("spq-long", digits)
    GRIDS["spq-long"].run(job_of("spq-long", digits, weights=book / "checkpoints" / long.cell.checkpoint))
    learned = from_spq.spq_backbone(digits, "quick")
    started = {}

    def train(method, *_, initial, **__):
        started[initial] = {name: w.clone() for name, w in method.backbone.state_dict().items()}

    monkeypatch.setattr(from_spq, "train", train)
    for number in (0, 1):
        GRIDS["from-spq"].run(job_of("from-spq", digits, number))
    assert set(started) == set(from_spq.STARTS)
    for name, weights in learned.state_dict().items():
        assert torch.equal(weights, started["from SPQ"][name])
    assert any(not torch.equal(w, started["from scratch"][name]) for name, w in learned.state_dict().items())


def test_both_starts_learn_from_the_same_labels(digits):
    cells = GRIDS["from-spq"].cells("quick", digits)
    for scratch, ours in zip(cells[::2], cells[1::2], strict=True):
        assert (scratch.seed, scratch.split_settings) == (ours.seed, ours.split_settings)
        assert torch.equal(scratch.split(digits).train, ours.split(digits).train)


def test_a_tiny_cell_from_scratch(digits):
    values = GRIDS["from-spq"].run(job_of("from-spq", digits))
    assert {value.search for value in values} == {"test"} and all(0.1 < value.value <= 1 for value in values)
