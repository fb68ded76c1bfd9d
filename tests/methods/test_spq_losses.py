"""SPQ's loss against loops over pairs, closed forms, gradients and permutations."""

import math

import pytest
import torch

from retrieval_lib.methods.spq_losses import contrastive_loss, cross_quantized_contrastive_loss, uneven_use_loss


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def by_loop(first, second, temperature):
    """NT-Xent, pair by pair."""
    rows, total = [*first, *second], 0.0
    for i, row in enumerate(rows):
        partner = (i + len(first)) % len(rows)
        others = [math.exp(cosine(row, rows[j]) / temperature) for j in range(len(rows)) if j != i]
        total -= math.log(math.exp(cosine(row, rows[partner]) / temperature) / sum(others))
    return total / len(rows)


@pytest.fixture
def four():
    """x and z of two views of five images."""
    return [random(5, 6, seed=s) for s in range(4)]


@pytest.mark.parametrize(("batch", "dimension"), [(1, 4), (2, 3), (5, 8), (7, 32)])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_contrast_equals_a_loop_over_pairs(batch, dimension, temperature):
    first, second = random(batch, dimension), random(batch, dimension, seed=1)
    expected = by_loop(first, second, temperature)
    assert float(contrastive_loss(first, second, temperature)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_cross_quantized_contrast_equals_a_loop_over_pairs(batch):
    xa, za, xb, zb = (random(batch, 6, seed=s) for s in range(4))
    expected = by_loop(xa, zb, 0.5) + by_loop(xb, za, 0.5)
    found = float(cross_quantized_contrastive_loss(xa, za, xb, zb, 0.5))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_view_is_not_compared_with_its_own_quantized_one(four):
    """The known wrong pairing gives another number, and the right one does not notice where x_a lies beside z_a."""
    xa, za, xb, zb = four
    right = cross_quantized_contrastive_loss(xa, za, xb, zb, 0.5)
    own_view = contrastive_loss(xa, za, 0.5) + contrastive_loss(xb, zb, 0.5)
    assert abs(float(right - own_view)) > 0.01
    xa = xa.clone().requires_grad_()
    za = za.clone().requires_grad_()
    across = torch.autograd.grad(cross_quantized_contrastive_loss(xa, za, xb, zb, 0.5), xa, create_graph=True)[0]
    assert torch.autograd.grad(across.sum(), za, allow_unused=True)[0] is None, "no product of x_a and z_a"


def test_views_may_be_exchanged_and_images_in_any_order(four):
    xa, za, xb, zb = four
    order = torch.tensor([3, 0, 4, 2, 1])
    loss = cross_quantized_contrastive_loss(xa, za, xb, zb, 0.5)
    torch.testing.assert_close(cross_quantized_contrastive_loss(*(t[order] for t in four), 0.5), loss)
    torch.testing.assert_close(cross_quantized_contrastive_loss(xb, zb, xa, za, 0.5), loss)
    torch.testing.assert_close(cross_quantized_contrastive_loss(3 * xa, za, xb, zb / 7, 0.5), loss)


def test_found_partners_cost_least():
    """B images at right angles, each at its partner: log(1 + (2B - 2) exp(-1/τ)) a row."""
    x = torch.eye(4, dtype=torch.float64)
    closed = math.log(1 + 6 * math.exp(-1 / 0.5))
    assert float(contrastive_loss(x, x, 0.5)) == pytest.approx(closed, rel=1e-9)
    assert float(contrastive_loss(x, x.roll(1, 0), 0.5)) > closed + 1


def test_gradients_are_those_of_finite_differences(four):
    inputs = tuple(t[:3].clone().requires_grad_() for t in four)
    assert torch.autograd.gradcheck(lambda *t: cross_quantized_contrastive_loss(*t, 0.5), inputs)


def test_inputs_are_left_alone_and_wrong_shapes_named(four):
    before = [t.clone() for t in four]
    cross_quantized_contrastive_loss(*four, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(before, four, strict=True))
    with pytest.raises(ValueError, match=r"must both be \(B, D\)"):
        contrastive_loss(four[0], four[1][:3], 0.5)
    with pytest.raises(ValueError, match=r"temperature=0\.0: give a positive number"):
        contrastive_loss(*four[:2], 0.0)


def test_uneven_use_is_nothing_where_all_are_used_alike_and_log_k_where_one_is_used_alone():
    alone = torch.zeros(5, 2, 4)
    alone[..., 3] = 1
    assert float(uneven_use_loss(torch.full((5, 2, 4), 0.25))) == pytest.approx(0, abs=1e-4)
    assert float(uneven_use_loss(alone)) == pytest.approx(math.log(4), abs=1e-4)


def test_uneven_use_equals_a_loop():
    weights = random(6, 3, 4).softmax(2)
    expected = []
    for m in range(3):
        shares = [sum(float(weights[i, m, k]) for i in range(6)) / 6 for k in range(4)]
        expected.append(math.log(4) + sum(share * math.log(share) for share in shares))
    assert float(uneven_use_loss(weights)) == pytest.approx(sum(expected) / 3, abs=1e-4)


def test_uneven_use_judges_the_batch_and_not_the_single_image():
    """Each image may choose hard, as long as they choose differently."""
    hard = torch.eye(4).unsqueeze(1)  # (4, 1, 4)
    assert float(uneven_use_loss(hard)) < float(uneven_use_loss(hard[:2])) < float(uneven_use_loss(hard[:1]))
