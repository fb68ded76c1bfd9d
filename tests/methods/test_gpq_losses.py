"""GPQ's loss terms against loops, closed forms, gradients and permutations; the gradient that is turned round."""

import math

import pytest
import torch

from retrieval_lib.methods.gpq_losses import (
    classification_loss,
    n_pair_pq_loss,
    negative_entropy,
    prototype_logits,
    reverse_gradient,
)
from retrieval_lib.quantization import intra_normalize


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ONE_LABEL = torch.eye(3, dtype=torch.float64)[[0, 1, 0, 2, 1, 0]]
SEVERAL = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 1]]).double()


@pytest.fixture
def parts():
    return intra_normalize(random(6, 4, 5))


@pytest.fixture
def prototypes():
    return intra_normalize(random(4, 3, 5, seed=1))


def log_softmax(values):
    normaliser = math.log(sum(math.exp(v) for v in values))
    return [v - normaliser for v in values]


def logits_by_loop(parts, prototypes, scale):
    books = parts.shape[1]
    return [
        [scale**2 / books * sum(float(parts[i, m] @ prototypes[m, c]) for m in range(books)) for c in range(3)]
        for i in range(len(parts))
    ]


@pytest.mark.parametrize("targets", [ONE_LABEL, SEVERAL], ids=["one label", "several"])
def test_n_pair_equals_a_loop(parts, targets):
    quantized = intra_normalize(random(6, 4, 5, seed=2))
    expected = 0.0
    for i in range(6):
        logits = [sum(float(parts[i, m] @ quantized[j, m]) for m in range(4)) for j in range(6)]
        shared = [float(targets[i] @ targets[j]) for j in range(6)]
        expected -= sum(s / sum(shared) * v for s, v in zip(shared, log_softmax(logits), strict=True)) / 6
    assert float(n_pair_pq_loss(parts, quantized, targets)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("targets", [ONE_LABEL, SEVERAL], ids=["one label", "several"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_classifier_equals_a_loop(parts, prototypes, targets, scale):
    logits = logits_by_loop(parts, prototypes, scale)
    torch.testing.assert_close(
        prototype_logits(parts, prototypes, scale), torch.tensor(logits).double(), atol=1e-6, rtol=0
    )
    expected = 0.0
    for i in range(6):
        row = log_softmax(logits[i])
        expected -= sum(float(targets[i, c]) / float(targets[i].sum()) * row[c] for c in range(3)) / 6
    assert float(classification_loss(parts, prototypes, targets, scale)) == pytest.approx(expected, rel=1e-9)


def test_negative_entropy_equals_a_loop(parts, prototypes):
    expected = 0.0
    for row in logits_by_loop(parts, prototypes, 4.0):
        for value in log_softmax(row):
            expected += math.exp(value) * math.log(math.exp(value) + 1e-5) / 6
    assert float(negative_entropy(parts, prototypes, 4.0)) == pytest.approx(expected, rel=1e-9)


def test_negative_entropy_of_even_probabilities_is_the_least():
    same = intra_normalize(torch.ones(4, 3, 5).double())
    even = float(negative_entropy(intra_normalize(random(6, 4, 5)), same, 4.0))
    assert even == pytest.approx(-math.log(3), abs=1e-4)
    assert (
        float(negative_entropy(intra_normalize(random(6, 4, 5)), intra_normalize(random(4, 3, 5, seed=1)), 4.0)) > even
    )


def test_the_logits_of_a_prototype_itself_are_the_largest_possible(prototypes):
    at_itself = prototype_logits(prototypes.transpose(0, 1), prototypes, 4.0).diagonal()
    torch.testing.assert_close(at_itself, torch.full((3,), 16.0).double())


def test_reversal_turns_the_features_gradient_round_and_leaves_the_prototypes():
    features, raw = random(6, 4, 5).requires_grad_(), random(4, 3, 5, seed=1).requires_grad_()

    def gradients(before):
        loss = negative_entropy(intra_normalize(before(features)), intra_normalize(raw), 4.0)
        return (loss, *torch.autograd.grad(loss, (features, raw)))

    plain, turned = gradients(lambda x: x), gradients(reverse_gradient)
    assert torch.equal(plain[0], turned[0])
    assert torch.equal(turned[1], -plain[1]) and plain[1].abs().sum() > 0
    assert torch.equal(turned[2], plain[2]) and plain[2].abs().sum() > 0


def test_prototypes_raise_the_entropy_and_reversed_features_lower_it():
    features, raw = random(6, 4, 5), random(4, 3, 5, seed=1)

    def entropy(features, raw, reverse=lambda x: x):
        return -negative_entropy(intra_normalize(reverse(features)), intra_normalize(raw), 4.0)

    features.requires_grad_(), raw.requires_grad_()
    on_features, on_prototypes = torch.autograd.grad(-entropy(features, raw, reverse_gradient), (features, raw))
    start = entropy(features, raw)
    assert entropy(features - 0.1 * on_features, raw) < start < entropy(features, raw - 0.1 * on_prototypes)


@pytest.mark.parametrize("targets", [ONE_LABEL, SEVERAL], ids=["one label", "several"])
def test_order_does_not_matter_and_inputs_are_left_alone(parts, prototypes, targets):
    quantized, order, books = intra_normalize(random(6, 4, 5, seed=2)), torch.randperm(6), torch.randperm(4)
    before = [t.clone() for t in (parts, quantized, prototypes, targets)]
    losses = [
        (n_pair_pq_loss(p, q, t), classification_loss(p, e, t, 4.0), negative_entropy(p, e, 4.0))
        for p, q, e, t in (
            (parts, quantized, prototypes, targets),
            (parts[order], quantized[order], prototypes, targets[order]),
            (parts[:, books], quantized[:, books], prototypes[books], targets),
        )
    ]
    for changed in losses[1:]:
        torch.testing.assert_close(changed, losses[0])
    assert all(torch.equal(a, b) for a, b in zip(before, (parts, quantized, prototypes, targets), strict=True))


def test_gradients_are_those_of_finite_differences():
    raw, codewords, classes = random(6, 2, 3), random(6, 2, 3, seed=1), random(2, 3, 3, seed=2)
    inputs = tuple(t.requires_grad_() for t in (raw, codewords, classes))

    def total(raw, codewords, classes):
        p, q, e = (intra_normalize(t) for t in (raw, codewords, classes))
        return n_pair_pq_loss(p, q, SEVERAL), classification_loss(p, e, SEVERAL, 2.0), negative_entropy(p, e, 2.0)

    assert torch.autograd.gradcheck(total, inputs)


def test_an_image_without_a_label_is_refused(parts, prototypes):
    none = torch.zeros(6, 3)
    with pytest.raises(ValueError, match="without a label"):
        n_pair_pq_loss(parts, parts, none)
    with pytest.raises(ValueError, match="without a label"):
        classification_loss(parts, prototypes, none, 4.0)


def test_wrong_shapes_are_named():
    parts, classes = torch.zeros(3, 2, 4), torch.eye(3)
    with pytest.raises(ValueError, match=r"quantized \(3, 4, 2\) must both be"):
        n_pair_pq_loss(parts, parts.transpose(1, 2), classes)
    with pytest.raises(ValueError, match=r"targets \(3,\): expected one-hot"):
        n_pair_pq_loss(parts, parts, torch.arange(3))
    with pytest.raises(ValueError, match=r"multi-hot \(3, 3\)"):
        classification_loss(parts, torch.zeros(2, 3, 4), classes[:2], 4.0)
