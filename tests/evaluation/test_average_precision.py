"""Expected average precision against every order there is, loops and torchmetrics."""

from itertools import permutations

import pytest
import torch
from torchmetrics.functional.retrieval import retrieval_average_precision

from retrieval_lib.evaluation import DIVISORS, Euclidean, Hamming, Relevance, TieGroups, average_precision, evaluate
from retrieval_lib.evaluation.tie_groups import group_levels, group_sorted, ordered


def naive_average_precision(relevant, k, divisor):
    """AP@k of one fully ordered list, by its definition."""
    hits, total = 0, 0.0
    for place, mark in enumerate(relevant[:k], start=1):
        if mark:
            hits += 1
            total += hits / place
    z = {"retrieved": hits, "min(k, R)": min(k, sum(relevant)), "all relevant": sum(relevant)}[divisor]
    return total / z if z else 0.0


def over_all_orders(distances, relevant, k, divisor):
    """Mean over every order of the tied items, by listing them all."""
    items = sorted(set(distances))
    lists = [[]]
    for value in items:
        group = [r for d, r in zip(distances, relevant, strict=True) if d == value]
        lists = [head + list(tail) for head in lists for tail in permutations(group)]
    return sum(naive_average_precision(one, k, divisor) for one in lists) / len(lists)


CASES = [
    ([0, 0, 0, 0, 0], [1, 0, 1, 0, 0]),
    ([3, 1, 1, 2, 2, 2], [1, 0, 1, 1, 0, 0]),
    ([0, 1, 1, 1, 1, 2], [0, 1, 1, 1, 0, 1]),
    ([5, 5, 1, 1, 3, 3, 3], [0, 1, 0, 0, 1, 0, 1]),
    ([1, 2, 3, 4], [1, 1, 1, 1]),
    ([1, 1, 1, 2], [0, 0, 0, 0]),
    ([2, 1, 1, 1], [1, 0, 0, 0]),
]


@pytest.mark.parametrize(("distances", "relevant"), CASES)
@pytest.mark.parametrize("divisor", DIVISORS)
def test_equals_the_mean_over_every_order_at_every_k(distances, relevant, divisor):
    d, r = torch.tensor([distances], dtype=torch.int32), torch.tensor([relevant]).bool()
    for k in range(1, len(distances) + 1):
        expected = over_all_orders(distances, relevant, k, divisor)
        for groups in (group_levels(d, r, 6), group_sorted(d.float(), r, k)):
            assert average_precision(groups, k, divisor).item() == pytest.approx(expected, abs=1e-12)


def test_empty_groups_change_nothing():
    full = TieGroups(torch.tensor([[2, 0, 3, 0]]), torch.tensor([[1, 0, 2, 0]]))
    tight = TieGroups(torch.tensor([[2, 3]]), torch.tensor([[1, 2]]))
    for divisor in DIVISORS:
        for k in (1, 2, 4, 5):
            assert torch.equal(average_precision(full, k, divisor), average_precision(tight, k, divisor))


def test_without_ties_equals_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200, generator=generator) + 0.1  # torchmetrics drops relevant items with scores <= 0
    relevant = torch.rand(200, generator=generator) < 0.2
    groups = group_sorted(-scores.unsqueeze(0), relevant.unsqueeze(0), 200)
    theirs = retrieval_average_precision(scores, relevant)
    assert average_precision(groups, None, "retrieved").item() == pytest.approx(theirs.item(), abs=1e-6)


def test_large_groups_keep_their_precision():
    """A tie of a hundred thousand: sampled slots against the closed form, by the plain sum over slots."""
    n, r, t, r0, k = 100_000, 3_000, 50_000, 700, 90_000
    groups = TieGroups(torch.tensor([[t, n]]), torch.tensor([[r0, r]]))
    slots = torch.arange(1, k - t + 1, dtype=torch.float64)
    rho = (r - 1) / (n - 1)
    tail = float((r / n * (r0 + 1 + (slots - 1) * rho) / (t + slots)).sum())
    first = torch.arange(1, t + 1, dtype=torch.float64)
    head = float((r0 / t * (1 + (first - 1) * (r0 - 1) / (t - 1)) / first).sum())
    assert average_precision(groups, k, "all relevant").item() == pytest.approx((head + tail) / (r0 + r), rel=1e-9)


def test_a_straddling_group_conditions_on_its_hits():
    """With the divisor `retrieved` the expectation of the ratio is not the ratio of expectations."""
    groups = TieGroups(torch.tensor([[1, 4]]), torch.tensor([[0, 2]]))
    right = average_precision(groups, 3, "retrieved").item()
    gain = sum(2 / 4 * (1 + (j - 1) / 3) / (1 + j) for j in (1, 2))
    wrong = gain / (2 * 2 / 4)
    assert right == pytest.approx(over_all_orders([0, 1, 1, 1, 1], [0, 1, 1, 0, 0], 3, "retrieved"))
    assert abs(right - wrong) > 0.005


def test_seeded_order_is_one_of_the_orders_and_averages_to_the_expectation():
    generator = torch.Generator().manual_seed(1)
    distances = torch.randint(0, 3, (1, 12), generator=generator, dtype=torch.int32)
    relevant = torch.rand(1, 12, generator=generator) < 0.4
    expected = average_precision(group_levels(distances, relevant, 3), 6, "retrieved").item()
    draws = []
    for _ in range(3000):
        order = torch.randperm(12, generator=generator)
        groups = ordered(distances, relevant, order, 6)
        ranking = order[distances[0, order].argsort(stable=True)]
        draw = average_precision(groups, 6, "retrieved").item()
        assert draw == pytest.approx(naive_average_precision(relevant[0, ranking].tolist(), 6, "retrieved"))
        draws.append(draw)
    spread = torch.tensor(draws).std().item() / len(draws) ** 0.5
    assert abs(sum(draws) / len(draws) - expected) < 5 * spread


def test_expected_score_does_not_depend_on_how_the_database_is_stored():
    generator = torch.Generator().manual_seed(2)
    query, database = torch.rand(6, 8, generator=generator) < 0.5, torch.rand(300, 8, generator=generator) < 0.5
    labels, theirs = torch.randint(0, 4, (6,), generator=generator), torch.randint(0, 4, (300,), generator=generator)
    order = torch.randperm(300, generator=generator)
    for k in (10, 50, None):
        one = evaluate(Hamming(query, database), Relevance(labels, theirs), k=k)
        other = evaluate(Hamming(query, database[order]), Relevance(labels, theirs[order]), k=k)
        torch.testing.assert_close(one.average_precision, other.average_precision)
        assert (one.recall, one.precision) == pytest.approx((other.recall, other.precision))


def test_counting_and_sorting_give_the_same():
    generator = torch.Generator().manual_seed(3)
    query, database = torch.rand(20, 16, generator=generator) < 0.5, torch.rand(500, 16, generator=generator) < 0.5
    relevance = Relevance(torch.arange(20) % 3, torch.arange(500) % 3)
    ones = Euclidean(query.float(), database.float())  # the squared distance of 0/1 vectors is the Hamming distance
    for k in (1, 30, 500):
        a, b = evaluate(Hamming(query, database), relevance, k=k), evaluate(ones, relevance, k=k)
        torch.testing.assert_close(a.average_precision, b.average_precision)
        assert a.recall == pytest.approx(b.recall)
