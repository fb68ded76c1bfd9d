"""DHD as a method: its verbs, its views, which parts its terms move, and that it learns a tiny batch by heart."""

import pytest
import torch
from learning import distances_by_label, learn

from retrieval_lib.augmentation import DHD_STRONG, SHIFTED
from retrieval_lib.backbones import load_backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.dhd import DHD, LOSSES, DHDSettings


def small(**settings):
    return DHD(load_backbone("small-resnet", channels=1, width=4), 3, DHDSettings(**{"bits": 12} | settings))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(9, 1, 28, 28, generator=generator) for _ in range(2)]
    return Batch(views, torch.eye(3).repeat(3, 1))


def test_descriptors_codes_and_distances(batch):
    method = small().eval()
    h = method.descriptors(batch.views[0]).detach()
    codes = method.encode(h)
    assert h.shape == (9, 12) and h.abs().max() < 1 and torch.equal(codes, h >= 0)
    found = method.distances(h[:2], codes).block(0, 2)
    assert torch.equal(found, (codes[:2, None] != codes[None]).sum(2).int())


def test_the_teacher_sees_the_weaker_view():
    weak, strong = small(teacher_strength=0.2).views
    assert strong == DHD_STRONG and weak == DHD_STRONG.weakened(0.2)
    assert small(teacher=SHIFTED).views == (SHIFTED, DHD_STRONG)


def test_every_term_can_be_left_out(batch):
    assert set(small().loss_terms(batch, 0)) == {"hash proxy", "self-distillation", "quantization"}
    assert set(small(distillation=0, quantization=0).loss_terms(batch, 0)) == {"hash proxy"}


def test_weights_are_applied(batch):
    once, thrice = (small(distillation=w, quantization=w).eval().loss_terms(batch, 0) for w in (0.1, 0.3))
    for name in ("self-distillation", "quantization"):
        torch.testing.assert_close(3 * once[name], thrice[name])
    torch.testing.assert_close(once["hash proxy"], thrice["hash proxy"])


def test_the_proxy_loss_reads_the_chosen_view(batch):
    teacher, student, both = (
        small(supervise=which).eval().loss_terms(batch, 0)["hash proxy"] for which in ("teacher", "student", "both")
    )
    torch.testing.assert_close(both, (teacher + student) / 2)
    assert not torch.isclose(teacher, student)


def test_distillation_moves_the_student_only():
    method = small(quantization=0)
    views = [torch.rand(6, 1, 28, 28).requires_grad_() for _ in range(2)]
    term = method.loss_terms(Batch(views, torch.eye(3).repeat(2, 1)), 0)["self-distillation"]
    teacher, student = torch.autograd.grad(term, views, allow_unused=True)
    assert (teacher is None or not teacher.any()) and student.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_every_supervised_loss_learns_a_tiny_batch_with_and_without_distillation(batch, loss):
    for weight in (0.0, 0.1):
        method = small(loss=loss, distillation=weight, quantization=0.0, bits=16)
        assert set(method.loss_terms(batch, 0)) == ({loss, "self-distillation"} if weight else {loss})
        learn(method, batch_of_one_view(batch), 40)
        same, different = distances_by_label(method, batch)
        assert same.float().mean() < 0.5 * different.float().mean()


def batch_of_one_view(batch):
    return Batch([batch.views[0]] * 2, batch.targets)


def test_a_seed_fixes_the_start():
    first, again, other = (DHD(load_backbone("small-resnet", channels=1, width=4), 3, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.proxies, again.proxies) and not torch.equal(first.proxies, other.proxies)
    assert torch.equal(first.head.linear.weight, again.head.linear.weight)


def test_it_learns_a_tiny_batch_by_heart(batch):
    method = small()
    learn(method, batch_of_one_view(batch), 60)
    same, different = distances_by_label(method, batch)
    assert same.max() < different.min()


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0}, {"temperature": 0.0}, {"teacher_strength": 2}, {"supervise": "nobody"}, {"loss": "triplet"},
        {"distillation": -1}, {"quantization": -0.1},
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DHDSettings(**wrong)
