"""Images without labels in a batch: which they are, that no label comes with them, and that such a run can resume."""

import signal
from dataclasses import replace
from functools import partial

import pytest
import torch

from retrieval_lib.backbones import load_backbone
from retrieval_lib.data import ImageSet
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.training import step_batch, train
from retrieval_lib.training.batches import step_indices, view_makers
from retrieval_lib.training.loop import make_optimizer
from tests.training import toy


@pytest.fixture(scope="module")
def split():
    """48 labelled images to learn from and 132 unlabelled ones; 30 validation queries search the labelled."""
    whole = toy.striped_split()
    searches = {"validation": replace(whole.searches["validation"], database=whole.train[:48])}
    return replace(whole, train=whole.train[:48], unlabelled=whole.train[48:], searches=searches)


@pytest.fixture
def short():
    return replace(toy.SHORT, batch_size=16)


def small(**settings):
    backbone = load_backbone("small-resnet", channels=1, width=4)
    return GPQ(backbone, 3, GPQSettings(**{"bits": 8, "dimension": 4, "view": toy.GENTLE} | settings))


def test_a_batch_holds_as_many_unlabelled_images(stripes, split, short):
    method = small()
    makers = view_makers(method, stripes)
    first, again, later = (
        step_batch(method, stripes, split.train, step, short, makers, split.unlabelled) for step in (3, 3, 4)
    )
    assert len(first.views) == len(first.unlabelled) == 1 and first.unlabelled[0].shape == (16, 1, 28, 28)
    assert torch.equal(first.unlabelled[0], again.unlabelled[0])
    assert not torch.equal(first.unlabelled[0], later.unlabelled[0]) and first.targets.shape == (16, 3)


def test_they_are_the_splits_unlabelled_ones_each_once_an_epoch_in_an_order_of_their_own(stripes, split, short):
    drawn = torch.cat([step_indices(split.unlabelled, step, short, "unlabelled order") for step in range(8)])
    assert len(drawn.unique()) == 128 and torch.isin(drawn, split.unlabelled).all()
    same_draw = torch.cat([step_indices(split.unlabelled, step, short) for step in range(8)])
    assert not torch.equal(drawn, same_draw)
    still = replace(toy.GENTLE, crop=0.0, flip=0.0)
    method = small(view=still)
    batch = step_batch(method, stripes, split.train, 2, short, view_makers(method, stripes), split.unlabelled)
    assert torch.equal(batch.unlabelled[0], stripes.images[drawn[32:48]].float() / 255)


def test_their_labels_are_never_read(stripes, split, short):
    """With the unlabelled images' labels exchanged, a run is the same to the last bit."""
    exchanged = stripes.labels.clone()
    exchanged[split.unlabelled] = (exchanged[split.unlabelled] + 1) % 3
    other = ImageSet(**{**stripes.__dict__, "labels": exchanged})
    runs = [train(small(), images, split, short) for images in (stripes, other)]
    assert runs[0].terms == runs[1].terms and runs[0].weights_after == runs[1].weights_after


def test_a_run_without_labels_is_the_same_with_all_labels_exchanged(stripes, short):
    method = partial(SPQ, settings=SPQSettings(bits=8, dimension=4, hidden=16, view=toy.GENTLE))
    other = ImageSet(**{**stripes.__dict__, "labels": (stripes.labels + 1) % 3})
    runs = [
        train(method(load_backbone("small-resnet", channels=1, width=4)), images, toy.striped_split(), short)
        for images in (stripes, other)
    ]
    assert runs[0].terms == runs[1].terms and runs[0].weights_after == runs[1].weights_after
    assert runs[0].terms["contrast"][-1] < runs[0].terms["contrast"][0]
    assert runs[0].snapshots[-1].codebooks.shape == (2, 16, 4)


def test_it_learns_and_its_history_holds_codes_and_codebooks(stripes, split, short):
    method = small()
    history = train(method, stripes, split, replace(short, steps=60, evaluate_every=20, learning_rate=1e-2))
    assert history.scores[-1] > 0.9 > history.scores[0]
    assert set(history.terms) == {"N-pair", "classification", "negative entropy"}
    last = history.snapshots[-1]
    assert last.descriptors.shape == (30, 8) and last.codes.shape == (30, 2) and last.codebooks.shape == (2, 16, 4)
    torch.testing.assert_close(last.codebooks.float(), method.quantizer().codebooks, atol=1e-3, rtol=0)
    assert (last.codes == method.encode(last.descriptors.float())).float().mean() > 0.9, "but for rounding"


def test_an_interrupted_run_ends_as_if_it_had_not_been(stripes, split, short, tmp_path):
    expected, state = train(small(), stripes, split, short), tmp_path / "run.safetensors"

    def stop(method, history):
        if history.score_steps[-1] == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(small(), stripes, split, short, callback=stop, state_path=state)
    history = train(small(), stripes, split, short, state_path=state)
    assert history.weights_after == expected.weights_after and history.terms == expected.terms
    assert history.scores == expected.scores and len(history.snapshots) == len(expected.snapshots) == 4
    for mine, theirs in zip(history.snapshots, expected.snapshots, strict=True):
        assert mine.tensors().keys() == theirs.tensors().keys() == {"descriptors", "codes", "codebooks"}
        assert all(torch.equal(mine.tensors()[name], tensor) for name, tensor in theirs.tensors().items())


def test_a_split_without_them_is_refused_and_a_supervised_method_needs_none(stripes, split, short):
    none = replace(split, unlabelled=torch.empty(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="16 unlabelled images a step, but the split has 0; take a semi-supervised"):
        train(small(), stripes, none, short)
    method = small(entropy=0.0)
    assert set(train(method, stripes, none, short).terms) == {"N-pair", "classification"}
    with pytest.raises(ValueError, match="the split has 0"):
        step_batch(small(), stripes, split.train, 0, short, view_makers(small(), stripes))


def test_prototypes_and_codebooks_do_not_decay(short):
    method = small()
    groups = make_optimizer(method, replace(short, weight_decay=0.3)).param_groups
    of = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert of[id(method.prototypes)] == of[id(method.codebooks)] == 0.0 and of[id(method.head.weight)] == 0.3
