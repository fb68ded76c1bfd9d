"""Judging: images held out of a training search each other."""

import pytest
import torch

from retrieval_lib.evaluation import InnerProduct, Relevance, evaluate
from retrieval_lib.experiments.judging import among_held_out
from retrieval_lib.experiments.values import judge
from retrieval_lib.methods.base import Method


def test_held_out_images_search_each_other_and_never_themselves(digits):
    """Each half searches the other, and both scores are averaged."""

    class Pixels(Method):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.one = torch.nn.Parameter(torch.ones(1))

        def descriptors(self, images):
            return images.flatten(1)

        def encode(self, descriptors):
            return descriptors

        def distances(self, query, database_codes):
            return InnerProduct(query, database_codes)

    positions = torch.arange(0, 200, 5)
    found = among_held_out(Pixels(), digits, positions)
    halves = positions[torch.randperm(40, generator=torch.Generator().manual_seed(0))].chunk(2)
    assert not torch.isin(halves[0], halves[1]).any()
    expected = []
    for query, database in (halves, halves[::-1]):
        x, y = (digits.images[part].flatten(1).float() / 255 for part in (query, database))
        relevance = Relevance(digits.labels[query], digits.labels[database])
        expected.append(evaluate(InnerProduct(x, y), relevance, k=None).mean_average_precision)
    assert found == pytest.approx(sum(expected) / 2)
    described = lambda part: digits.images[part].flatten(1).float() / 255  # noqa: E731
    assert among_held_out(Pixels(), digits, positions, described) == found, "descriptors may be given"


@pytest.mark.parametrize("k", [0, -3])
def test_a_ranking_without_a_place_is_named(k):
    found, relevance = (
        InnerProduct(torch.ones(2, 3), torch.ones(4, 3)),
        Relevance(torch.zeros(2).long(), torch.arange(4)),
    )
    for ties in ("expected", "seeded"):
        with pytest.raises(ValueError, match=f"k={k}: a ranking has at least one place"):
            judge(found, relevance, k=k, ties=(ties,))
