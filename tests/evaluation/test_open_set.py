"""Open-set searches against loops, and the expectation over ties against every order of the database."""

from itertools import permutations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from retrieval_lib.evaluation import NOBODY, Euclidean, Hamming, Relevance, identify, open_set_curve, threshold_at


@pytest.fixture
def search():
    """Codes with many ties: 15 queries of people 0 to 4, 12 of strangers, 40 database images."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(67, 6, generator=generator) < 0.5
    labels = torch.cat([torch.arange(15) % 5, torch.arange(40) % 5])
    return codes[:15], codes[15:55], codes[55:], labels[:15], labels[15:]


@pytest.mark.parametrize("threshold", [-1, 0, 1, 6])
def test_identify_is_the_loop_over_one_order(search, threshold):
    query, database, _, _, labels = search
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    expected = []
    for code in query:
        best, person = 7, NOBODY
        for d in order.tolist():
            distance = int((code != database[d]).sum())
            if distance < best:
                best, person = distance, int(labels[d])
        expected.append(person if best <= threshold else NOBODY)
    assert identify(Hamming(query, database), labels, threshold, seed=3).tolist() == expected


def test_both_rates_are_the_loops(search):
    query, database, strangers, query_labels, labels = search
    curve = open_set_curve(Hamming(query, database), Relevance(query_labels, labels), Hamming(strangers, database))
    assert curve.thresholds[0] == -torch.inf and curve.identification[0] == curve.false_positive[0] == 0
    for t, false_positive, identification in zip(
        curve.thresholds.tolist(), curve.false_positive, curve.identification, strict=True
    ):
        named = sum(min(int((s != d).sum()) for d in database) <= t for s in strangers)
        right = 0.0
        for code, person in zip(query, query_labels, strict=True):
            distances = (code != database).sum(1)
            nearest = (distances == distances.min()).nonzero().flatten()
            if int(distances.min()) <= t:
                right += float((labels[nearest] == person).float().mean())
        assert float(false_positive) == pytest.approx(named / 12)
        assert float(identification) == pytest.approx(right / 15)


def test_both_rates_are_those_of_every_query_at_every_threshold():
    """The plain way, which needs memory for queries times thresholds; many distances differ, many are tied."""
    generator = torch.Generator().manual_seed(4)
    x, labels = 2 * torch.randn(400, 2, generator=generator), torch.arange(400) % 9
    query, strangers, database = x[:90], x[90:150], x[150:].round()
    known, unknown = Euclidean(query, database), Euclidean(strangers, database)
    curve = open_set_curve(known, Relevance(labels[:90], labels[150:]), unknown)
    distances, same = known.block(0, 90), labels[:90, None] == labels[150:]
    near, strange = distances.amin(1), unknown.block(0, 60).amin(1)
    tied = distances == near.unsqueeze(1)
    chance = (tied & same).sum(1).double() / tied.sum(1)
    assert ((chance > 0) & (chance < 1)).sum() > 20, "or this test says nothing of ties"
    assert torch.equal(curve.thresholds[1:], torch.cat([near, strange]).double().unique())
    assert torch.equal(curve.false_positive, (strange.unsqueeze(1) <= curve.thresholds).double().mean(0))
    plain = ((near.unsqueeze(1) <= curve.thresholds).double() * chance.unsqueeze(1)).mean(0)
    torch.testing.assert_close(curve.identification, plain, rtol=0, atol=1e-15)


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor had that was made meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            self.numbers = max(self.numbers, one.numel() if isinstance(one, torch.Tensor) else 0)
        return made


def test_a_curve_needs_no_memory_for_queries_times_thresholds():
    query, strangers = torch.randn(2, 2000, 1, generator=torch.Generator().manual_seed(4))
    database, labels = torch.zeros(3, 1), torch.zeros(2000, dtype=torch.int64)
    with Largest() as largest:
        curve = open_set_curve(
            Euclidean(query, database), Relevance(labels, labels[:3]), Euclidean(strangers, database)
        )
    assert len(curve.thresholds) > 3000 and largest.numbers <= 3 * 2000, "queries times database images"


def test_the_expectation_is_the_mean_over_every_order_of_the_database():
    query, database = torch.zeros(1, 2).bool(), torch.tensor([[1, 0], [0, 1], [1, 0], [1, 1]]).bool()
    labels, person = torch.tensor([3, 3, 8, 3]), torch.tensor([3])
    curve = open_set_curve(Hamming(query, database), Relevance(person, labels), Hamming(query, database))
    hits = []
    for order in permutations(range(4)):
        first = min(order, key=lambda d: int((query[0] != database[d]).sum()))  # the first of the tied ones
        hits.append(int(labels[first] == 3))
    assert float(curve.identification[-1]) == pytest.approx(sum(hits) / len(hits)) == pytest.approx(2 / 3)
    drawn = [int(identify(Hamming(query, database), labels, 2, seed)[0]) == 3 for seed in range(300)]
    assert abs(sum(drawn) / 300 - 2 / 3) < 4 * (2 / 9 / 300) ** 0.5


def test_rates_rise_and_a_threshold_for_strangers_keeps_its_promise(search):
    query, database, strangers, query_labels, labels = search
    before = database.clone()
    unknown = Hamming(strangers, database)
    curve = open_set_curve(Hamming(query, database), Relevance(query_labels, labels), unknown)
    for rates in (curve.false_positive, curve.identification):
        assert (rates[1:] >= rates[:-1]).all()
    threshold = threshold_at(curve.thresholds, curve.false_positive, 0.3)
    assert float((identify(unknown, labels, threshold) != NOBODY).double().mean()) <= 0.3
    assert torch.equal(database, before)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(9))
    turned = open_set_curve(
        Hamming(query, database[order]), Relevance(query_labels, labels[order]), Hamming(strangers, database[order])
    )
    torch.testing.assert_close(curve.identification, turned.identification)


def test_distances_of_any_kind():
    database, labels = torch.tensor([[0.0], [10.0]]), torch.tensor([1, 2])
    found = identify(Euclidean(torch.tensor([[2.0], [9.0], [5.5]]), database), labels, 4.0)
    assert found.tolist() == [1, 2, NOBODY]


def test_what_cannot_be_judged_is_named(search):
    query, database, strangers, query_labels, labels = search
    known, unknown = Hamming(query, database), Hamming(strangers, database)
    with pytest.raises(ValueError, match="query 5 has no image of its person"):
        changed = query_labels.clone()
        changed[5] = 77
        open_set_curve(known, Relevance(changed, labels), unknown)
    with pytest.raises(ValueError, match="all search one database"):
        open_set_curve(known, Relevance(query_labels, labels), Hamming(strangers, database[:39]))
    with pytest.raises(ValueError, match="There are no queries"):
        open_set_curve(known, Relevance(query_labels, labels), Hamming(strangers[:0], database))
    with pytest.raises(ValueError, match="one number for each of the 40"):
        identify(known, labels[:39], 3)
    with pytest.raises(ValueError, match="database is empty"):
        identify(Hamming(query, database[:0]), labels[:0], 3)
    with pytest.raises(ValueError, match="has the number -1"):
        identify(known, labels - 1, 3)
