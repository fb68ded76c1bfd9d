"""Pairs, ROC, equal error rate and thresholds against loops, closed forms and a root search."""

import pytest
import torch
from scipy.interpolate import interp1d
from scipy.optimize import brentq

from retrieval_lib.evaluation import (
    Euclidean,
    Hamming,
    Relevance,
    equal_error,
    genuine_and_impostor,
    roc,
    threshold_at,
)
from retrieval_lib.evaluation.verification import query_blocks


def codes_and_labels(seed=0, people=6, bits=10):
    """Codes of 20 queries and 60 database images, nearer where the person is the same, with many ties."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, people, (80,), generator=generator)
    bits_of = torch.rand(people, bits, generator=generator) < 0.5
    flipped = torch.rand(80, bits, generator=generator) < 0.25
    return bits_of[labels] ^ flipped, labels


@pytest.fixture
def pairs():
    codes, labels = codes_and_labels()
    return genuine_and_impostor(Hamming(codes[:20], codes[20:]), Relevance(labels[:20], labels[20:]))


def test_every_pair_is_counted_once_and_on_its_side(pairs):
    codes, labels = codes_and_labels()
    before = codes.clone()
    genuine, impostor = [], []
    for q in range(20):
        for d in range(20, 80):
            distance = int((codes[q] != codes[d]).sum())
            (genuine if labels[q] == labels[d] else impostor).append(distance)
    assert sorted(pairs[0].tolist()) == sorted(genuine) and sorted(pairs[1].tolist()) == sorted(impostor)
    assert torch.equal(codes, before)


def test_blocks_give_what_one_pass_gives():
    codes, _ = codes_and_labels()
    distances = Hamming(codes[:20], codes[20:])
    parts = list(query_blocks(distances, memory=60 * 24 * 3))
    assert [stop - start for start, stop, _ in parts] == [3] * 6 + [2]
    assert torch.equal(torch.cat([block for _, _, block in parts]), distances.block(0, 20))


@pytest.mark.parametrize("kind", ["hamming", "floats"])
def test_both_errors_at_every_threshold_by_counting(pairs, kind):
    genuine, impostor = pairs if kind == "hamming" else (torch.rand(40) ** 2, torch.rand(70))
    curve = roc(genuine, impostor)
    assert curve.thresholds[0] == -torch.inf and (curve.thresholds[1:] > curve.thresholds[:-1]).all()
    assert curve.thresholds[1:].tolist() == sorted(set(genuine.double().tolist() + impostor.double().tolist()))
    for threshold, accepted, right, rejected in zip(
        curve.thresholds.tolist(), curve.false_accept, curve.true_accept, curve.false_reject, strict=True
    ):
        assert float(accepted) == pytest.approx(sum(d <= threshold for d in impostor.tolist()) / len(impostor))
        assert float(right) == pytest.approx(sum(d <= threshold for d in genuine.tolist()) / len(genuine))
        assert float(rejected) == pytest.approx(sum(d > threshold for d in genuine.tolist()) / len(genuine))
    assert curve.false_accept[-1] == curve.true_accept[-1] == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_equal_error_rate_is_the_root_on_the_joined_curve(seed):
    codes, labels = codes_and_labels(seed)
    pairs = genuine_and_impostor(Hamming(codes[:20], codes[20:]), Relevance(labels[:20], labels[20:]))
    curve, found = roc(*pairs), equal_error(roc(*pairs))
    true_accept = interp1d(curve.false_accept.numpy(), curve.true_accept.numpy())
    assert found.rate == pytest.approx(brentq(lambda x: 1 - x - float(true_accept(x)), 0, 1), abs=1e-9)
    differences = [
        abs(float((pairs[1] <= t).double().mean()) - float((pairs[0] > t).double().mean())) for t in range(11)
    ]
    assert found.threshold == differences.index(min(differences))


@pytest.mark.parametrize(
    ("genuine", "impostor", "rate", "threshold"),
    [
        ([1, 2], [3, 4], 0.0, 2.0),  # told apart without an error
        ([3, 4], [1, 2], 1.0, 2.0),  # the wrong way round
        ([0, 1, 2, 9], [1, 8, 9, 9], 0.25, 2.0),
    ],
)
def test_equal_error_of_closed_forms(genuine, impostor, rate, threshold):
    found = equal_error(roc(torch.tensor(genuine), torch.tensor(impostor)))
    assert (found.rate, found.threshold) == (pytest.approx(rate), threshold)


def test_distances_without_information_err_half_the_time():
    same = torch.full((7,), 3)
    assert equal_error(roc(same, same[:3])).rate == pytest.approx(0.5)


def test_the_rate_ignores_the_scale_of_distances_and_the_order_of_pairs(pairs):
    genuine, impostor = pairs
    turned = genuine.flip(0) * 2.0 + 1, impostor[torch.randperm(len(impostor))] * 2.0 + 1
    first, second = equal_error(roc(*pairs)), equal_error(roc(*turned))
    assert first.rate == pytest.approx(second.rate) and 2 * first.threshold + 1 == second.threshold


@pytest.mark.parametrize("at_most", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_the_threshold_is_the_largest_that_keeps_the_promise(pairs, at_most):
    curve, impostor = roc(*pairs), pairs[1]
    threshold = threshold_at(curve.thresholds, curve.false_accept, at_most)
    fits = [t for t in range(11) if float((impostor <= t).double().mean()) <= at_most]
    present = [t for t in fits if t in curve.thresholds.tolist()]
    assert threshold == (max(present) if present else -torch.inf)


def test_what_cannot_be_judged_is_named(pairs):
    codes, labels = codes_and_labels()
    with pytest.raises(ValueError, match=r"genuine pairs of shape \(0,\)"):
        roc(torch.empty(0), torch.ones(3))
    with pytest.raises(ValueError, match=r"impostor pairs of shape \(2, 2\)"):
        roc(torch.ones(3), torch.ones(2, 2))
    with pytest.raises(ValueError, match="at_most=5: give a share"):
        threshold_at(roc(*pairs).thresholds, roc(*pairs).false_accept, 5)
    with pytest.raises(ValueError, match=r"labels are for \(19, 60\)"):
        genuine_and_impostor(Hamming(codes[:20], codes[20:]), Relevance(labels[:19], labels[20:]))
    with pytest.raises(ValueError, match="There are no queries"):
        genuine_and_impostor(Hamming(codes[:0], codes[20:]), Relevance(labels[:0], labels[20:]))
    with pytest.raises(ValueError, match="A distance is NaN"):
        genuine_and_impostor(
            Euclidean(torch.full((1, 1), torch.nan), torch.ones(2, 1)), Relevance(torch.zeros(1).int(), labels[:2])
        )
