"""SGH's similarity terms against loops, closed forms, gradients and permutations."""

import math
from itertools import combinations, permutations

import pytest
import torch

from retrieval_lib.methods.sgh_losses import pairwise_similarity_loss, self_similarity_loss


def views_of(count, batch=6, bits=5):
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(batch, bits, generator=generator, dtype=torch.float64).tanh() for _ in range(count)]


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


PEOPLE = torch.eye(3, dtype=torch.float64)[[0, 1, 0, 2, 1, 0]]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_self_similarity_equals_a_loop(count):
    views = views_of(count)
    terms = [1 - cosine(a[i], b[i]) for a, b in combinations(views, 2) for i in range(6)]
    assert float(self_similarity_loss(views)) == pytest.approx(sum(terms) / len(terms), rel=1e-10)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("count", [2, 3])
def test_pairwise_similarity_equals_a_loop(count, temperature):
    views, terms = views_of(count), []
    for a, b in permutations(views, 2):
        for i in range(6):
            normaliser = math.log(sum(math.exp(cosine(a[i], b[j]) / temperature) for j in range(6)))
            same = [j for j in range(6) if torch.equal(PEOPLE[i], PEOPLE[j])]
            terms.append(sum(normaliser - cosine(a[i], b[j]) / temperature for j in same) / len(same))
    found = pairwise_similarity_loss(views, PEOPLE, temperature)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-10)


def test_closed_forms():
    code = views_of(2)[0]
    assert float(self_similarity_loss([code, 3 * code])) == pytest.approx(0, abs=1e-12)
    assert float(self_similarity_loss([code, -code])) == pytest.approx(2)
    alike = torch.ones(4, 3, dtype=torch.float64)  # all codes equal: every row is spread over all images
    people = torch.eye(2, dtype=torch.float64)[[0, 0, 1, 1]]
    assert float(pairwise_similarity_loss([alike, alike], people, 0.1)) == pytest.approx(math.log(4))
    apart = torch.tensor([[1.0, 1], [1, 1], [-1, -1], [-1, -1]], dtype=torch.float64)  # its smallest value: log 2
    assert float(pairwise_similarity_loss([apart, apart], people, 0.01)) == pytest.approx(math.log(2))


def test_no_image_is_compared_with_its_own_view():
    """The wrong variant, in which a view meets itself, pairs each image with an identical code and is smaller."""
    views = views_of(2)
    unit = [v / v.norm(dim=1, keepdim=True) for v in views]
    same = PEOPLE @ PEOPLE.T
    wrong = sum(
        -((same / same.sum(1, keepdim=True)) * (a @ b.T / 0.2).log_softmax(1)).sum(1).mean() for a in unit for b in unit
    )
    assert abs(float(pairwise_similarity_loss(views, PEOPLE, 0.2)) - float(wrong / 4)) > 0.01


@pytest.mark.parametrize(
    "loss", [self_similarity_loss, lambda v: pairwise_similarity_loss(v, PEOPLE[: len(v[0])], 0.3)]
)
def test_gradients_reach_every_view_and_are_those_of_finite_differences(loss):
    views = [v.requires_grad_() for v in views_of(3, batch=4, bits=3)]
    assert torch.autograd.gradcheck(lambda *v: loss(v), views)
    loss(views).backward()
    assert all(v.grad.abs().sum() > 0 for v in views)


def test_pairs_of_one_person_attract_and_look_alikes_repel():
    people = torch.eye(2, dtype=torch.float64)[[0, 0, 1]]
    start = torch.tensor([[1.0, 0.2], [0.9, -0.4], [0.8, 0.3]], dtype=torch.float64)  # the third looks like the first
    views = [start.clone().requires_grad_() for _ in range(2)]
    pairwise_similarity_loss(views, people, 0.2).backward()
    moved = [v.detach() - 0.1 * v.grad for v in views]
    assert cosine(moved[0][0], moved[1][1]) > cosine(start[0], start[1])
    assert cosine(moved[0][0], moved[1][2]) < cosine(start[0], start[2])


def test_order_of_images_and_of_views_is_ignored_and_inputs_are_left_alone():
    views, order = views_of(3), torch.tensor([4, 1, 0, 5, 2, 3])
    before, targets = [v.clone() for v in views], PEOPLE.clone()
    turned = [views[n][order] for n in (2, 0, 1)]
    torch.testing.assert_close(self_similarity_loss(views), self_similarity_loss(turned))
    torch.testing.assert_close(
        pairwise_similarity_loss(views, targets, 0.2), pairwise_similarity_loss(turned, targets[order], 0.2)
    )
    assert all(torch.equal(a, b) for a, b in zip(views, before, strict=True)) and torch.equal(targets, PEOPLE)


def test_one_view_and_a_missing_label_are_refused():
    views = views_of(2)
    with pytest.raises(ValueError, match="there is 1, give at least 2"):
        self_similarity_loss(views[:1])
    with pytest.raises(ValueError, match="there is 1, give at least 2"):
        pairwise_similarity_loss(views[:1], PEOPLE, 0.2)
    with pytest.raises(ValueError, match="without a label"):
        pairwise_similarity_loss(views, torch.zeros(6, 3), 0.2)
