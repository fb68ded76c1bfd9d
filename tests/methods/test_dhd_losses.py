"""DHD's loss terms against loops, closed forms, gradients and permutations."""

import math

import pytest
import torch

from retrieval_lib.methods.dhd_losses import bce_quantization_loss, hash_proxy_loss, self_distillation_loss


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize(
    ("batch", "bits", "classes", "temperature"), [(1, 4, 2, 1.0), (5, 16, 7, 0.2), (8, 64, 3, 0.5)]
)
@pytest.mark.parametrize("labels_each", [1, 2])
def test_hash_proxy_loss_equals_a_loop(batch, bits, classes, temperature, labels_each):
    codes, proxies = random(batch, bits).tanh(), random(classes, bits, seed=1)
    targets = torch.zeros(batch, classes, dtype=torch.float64)
    for i in range(batch):
        for step in range(labels_each):
            targets[i, (i + step) % classes] = 1
    expected = 0.0
    for i in range(batch):
        logits = [cosine(codes[i], proxies[c]) / temperature for c in range(classes)]
        normaliser = math.log(sum(math.exp(v) for v in logits))
        for c in range(classes):
            expected -= float(targets[i, c] / targets[i].sum()) * (logits[c] - normaliser) / batch
    assert float(hash_proxy_loss(codes, proxies, targets, temperature)) == pytest.approx(expected, rel=1e-10)


def test_hash_proxy_loss_leaves_the_callers_labels_alone():
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    before = targets.clone()
    hash_proxy_loss(torch.randn(2, 8), torch.randn(3, 8), targets, 0.2)
    assert torch.equal(targets, before)


def test_hash_proxy_loss_ignores_the_order_of_images_and_the_length_of_codes():
    codes, proxies = random(6, 12), random(4, 12, seed=1)
    targets = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0, 1]]
    order = torch.tensor([3, 5, 0, 2, 1, 4])
    loss = hash_proxy_loss(codes, proxies, targets, 0.2)
    torch.testing.assert_close(loss, hash_proxy_loss(codes[order], proxies, targets[order], 0.2))
    torch.testing.assert_close(loss, hash_proxy_loss(codes * 3, proxies * 0.1, targets, 0.2))


def test_hash_proxy_loss_refuses_an_image_without_a_label():
    with pytest.raises(ValueError, match="without a label"):
        hash_proxy_loss(torch.randn(1, 8), torch.randn(3, 8), torch.zeros(1, 3), 0.2)


def test_self_distillation_moves_the_student_only():
    student, teacher = random(5, 8).requires_grad_(), random(5, 8, seed=1).requires_grad_()
    loss = self_distillation_loss(student, teacher)
    loss.backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    expected = sum(1 - cosine(student[i].detach(), teacher[i].detach()) for i in range(5)) / 5
    assert loss.item() == pytest.approx(expected)
    assert float(self_distillation_loss(teacher.detach() * 2, teacher)) == pytest.approx(0, abs=1e-12)


def test_bce_quantization_equals_a_loop():
    codes = random(4, 6).tanh()
    expected = 0.0
    for value in codes.flatten().tolist():
        plus, minus = math.exp(-((value - 1) ** 2) / 0.5), math.exp(-((value + 1) ** 2) / 0.5)
        expected -= math.log(plus) + math.log(1 - minus) if value >= 0 else math.log(1 - plus) + math.log(minus)
    assert float(bce_quantization_loss(codes)) == pytest.approx(expected / codes.numel(), rel=1e-9)


@pytest.mark.parametrize("value", [-0.9, -0.3, -0.01, 0.01, 0.3, 0.9])
def test_bce_quantization_pulls_each_value_to_its_own_side(value):
    code = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
    bce_quantization_loss(code).backward()
    assert -float(code.grad) * value > 0


def test_gradients_are_those_of_finite_differences():
    codes, proxies = random(3, 5).tanh().requires_grad_(), random(2, 5, seed=1).requires_grad_()
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda h, p: hash_proxy_loss(h, p, targets, 0.2), (codes, proxies))
    assert torch.autograd.gradcheck(bce_quantization_loss, (codes,))
