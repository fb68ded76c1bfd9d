"""CSQ, HashNet and DPN against loops, closed forms and gradients."""

import math

import pytest
import torch

from retrieval_lib.methods.hash_losses import class_centres, csq_loss, dpn_loss, hashnet_loss, target_codes


@pytest.fixture
def codes():
    return torch.tanh(torch.randn(6, 8, generator=torch.Generator().manual_seed(0))).double().requires_grad_()


TARGETS = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]).double()


@pytest.mark.parametrize("classes", [2, 16, 20, 32])
def test_hadamard_centres_differ_in_half_or_all_bits(classes):
    centres = class_centres(classes, 16)
    distances = ((16 - centres @ centres.T) / 2)[~torch.eye(classes).bool()]
    assert set(distances.tolist()) <= {8.0, 16.0} and centres.abs().eq(1).all()


@pytest.mark.parametrize(("classes", "bits"), [(10, 12), (40, 16)])
def test_other_centres_are_drawn_by_a_seed(classes, bits):
    first, again, other = (class_centres(classes, bits, seed) for seed in (0, 0, 1))
    assert first.shape == (classes, bits) and first.abs().eq(1).all()
    assert torch.equal(first, again) and not torch.equal(first, other)
    with pytest.raises(ValueError, match="both must be at least 1"):
        class_centres(0, bits)


def test_the_target_of_several_labels_is_the_majority_and_zero_is_positive():
    centres = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0]])
    assert target_codes(centres, torch.tensor([[1, 1], [0, 1]])).tolist() == [[1, 1, -1], [1, -1, -1]]


def test_csq_is_the_loop(codes):
    target = target_codes(class_centres(3, 8).double(), TARGETS)
    bits = [
        -math.log((1 + h) / 2) if t > 0 else -math.log((1 - h) / 2)
        for h, t in zip(codes.flatten().tolist(), target.flatten().tolist(), strict=True)
    ]
    away = [(abs(h) - 1) ** 2 for h in codes.flatten().tolist()]
    expected = sum(bits) / len(bits) + 0.3 * sum(away) / len(away)
    assert csq_loss(codes, target, 0.3).item() == pytest.approx(expected, rel=1e-6)


def test_csq_is_finite_at_the_corners():
    corner = torch.ones(2, 4, requires_grad=True)
    loss = csq_loss(corner, -torch.ones(2, 4))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(corner.grad).all()


def test_hashnet_is_the_loop(codes):
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    similar = {(i, j): bool((TARGETS[i] * TARGETS[j]).sum() > 0) for i, j in pairs}
    share = sum(similar.values()) / len(pairs)
    total, weights = 0.0, 0.0
    for pair in pairs:
        product = 10 / 8 * (codes[pair[0]] @ codes[pair[1]]).item()
        weight = 1 / share if similar[pair] else 1 / (1 - share)
        total += weight * (math.log(1 + math.exp(product)) - (product if similar[pair] else 0))
        weights += weight
    assert float(hashnet_loss(codes, TARGETS)) == pytest.approx(total / weights, rel=1e-6)


def test_hashnet_pulls_similar_and_pushes_dissimilar_pairs():
    pair = torch.tensor([[0.5, 0.5], [0.5, -0.5]], requires_grad=True)
    for targets, sign in ((torch.tensor([[1.0, 0], [1, 0]]), -1), (torch.eye(2), 1)):
        (gradient,) = torch.autograd.grad(hashnet_loss(pair, targets), pair)
        moved = pair - 0.1 * gradient
        assert sign * float(moved[0] @ moved[1] - pair[0] @ pair[1]) < 0
    with pytest.raises(ValueError, match="at least two"):
        hashnet_loss(pair[:1], torch.ones(1, 2))


def test_dpn_is_the_hinge():
    values = torch.tensor([[2.0, 0.5, -0.5, -3.0]], requires_grad=True)
    loss = dpn_loss(values, torch.tensor([[1.0, 1.0, 1.0, -1.0]]))
    assert float(loss) == pytest.approx((0 + 0.5 + 1.5 + 0) / 4)
    assert torch.autograd.grad(loss, values)[0].tolist() == [[0, -0.25, -0.25, 0]]


@pytest.mark.parametrize("loss", [csq_loss, dpn_loss])
def test_order_of_images_and_inputs_are_left_alone(codes, loss):
    target, before = target_codes(class_centres(3, 8).double(), TARGETS), codes.detach().clone()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss(codes[order], target[order]), loss(codes, target))
    torch.testing.assert_close(hashnet_loss(codes[order], TARGETS[order]), hashnet_loss(codes, TARGETS))
    assert torch.equal(codes, before)
