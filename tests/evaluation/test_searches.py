"""Whole searches with every kind of code against plain loops and torchmetrics."""

import pytest
import torch
from torchmetrics.retrieval import RetrievalMAP

from retrieval_lib.evaluation import ADC, DIVISORS, Euclidean, Hamming, InnerProduct, Relevance, evaluate
from retrieval_lib.evaluation import distances as distances_module
from retrieval_lib.evaluation import relevance as relevance_module
from retrieval_lib.evaluation.tie_groups import group_levels, group_sorted, ordered

QUERIES, DATABASE = 12, 150


def draw(kind, generator):
    """A search of one kind, with many ties in all but the floats."""
    if kind == "bits":
        bits = torch.rand(QUERIES + DATABASE, 6, generator=generator) < 0.5
        return Hamming(bits[:QUERIES], bits[QUERIES:])
    if kind == "codes":
        tables = torch.rand(QUERIES, 2, 4, generator=generator)
        return ADC(tables, torch.randint(0, 4, (DATABASE, 2), generator=generator, dtype=torch.uint8))
    vectors = torch.randn(QUERIES + DATABASE, 5, generator=generator)
    return (Euclidean if kind == "floats" else InnerProduct)(vectors[:QUERIES], vectors[QUERIES:])


def draw_relevance(labels, generator):
    """One label an item, or three of which some items have several and some none."""
    if labels == "single":
        values = torch.randint(0, 5, (QUERIES + DATABASE,), generator=generator)
    else:
        values = torch.rand(QUERIES + DATABASE, 3, generator=generator) < 0.2
    return Relevance(values[:QUERIES], values[QUERIES:])


def plain(distances, relevance, order, k, divisor):
    """AP@k, precision and recall of each query by loops; ties in the given order of the database."""
    rows = []
    for query in range(QUERIES):
        d, r = distances.block(0, QUERIES)[query].tolist(), relevance.block(0, QUERIES)[query].tolist()
        ranking = [r[i] for i in sorted(order, key=lambda i: d[i])]  # sorted() is stable
        found, total = 0, 0.0
        for place, hit in enumerate(ranking[:k], start=1):
            found += hit
            total += hit * found / place
        by = {"retrieved": found, "min(k, R)": min(k, sum(r)), "all relevant": sum(r)}[divisor]
        rows.append((total / by if by else 0.0, found / k, found / sum(r) if sum(r) else 0.0))
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("labels", ["single", "several"])
@pytest.mark.parametrize("kind", ["bits", "codes", "floats", "products"])
def test_seeded_order_equals_plain_loops(kind, labels):
    generator = torch.Generator().manual_seed(0)
    distances, relevance = draw(kind, generator), draw_relevance(labels, generator)
    order = torch.randperm(DATABASE, generator=torch.Generator().manual_seed(7)).tolist()
    for k in (1, 20, DATABASE):
        for divisor in DIVISORS:
            expected = plain(distances, relevance, order, k, divisor)
            scores = evaluate(distances, relevance, k=k, divisor=divisor, ties="seeded", seed=7)
            torch.testing.assert_close(scores.average_precision, expected[:, 0], rtol=0, atol=1e-12)
            assert scores.mean_average_precision == pytest.approx(expected[:, 0].mean().item(), abs=1e-12)
            assert scores.precision == pytest.approx(expected[:, 1].mean().item(), abs=1e-12)
            assert scores.recall == pytest.approx(expected[:, 2].mean().item(), abs=1e-12)


@pytest.mark.parametrize("labels", ["single", "several"])
@pytest.mark.parametrize("kind", ["bits", "codes"])
def test_expected_value_is_the_mean_of_many_seeds(kind, labels):
    generator = torch.Generator().manual_seed(1)
    distances, relevance = draw(kind, generator), draw_relevance(labels, generator)
    for divisor in DIVISORS:
        expected = evaluate(distances, relevance, k=20, divisor=divisor)
        seeds = [evaluate(distances, relevance, k=20, divisor=divisor, ties="seeded", seed=s) for s in range(400)]
        values = torch.tensor([one.mean_average_precision for one in seeds])
        assert values.std() > 0.001  # ties matter here, so that the next line says something
        assert abs(values.mean().item() - expected.mean_average_precision) < 5 * values.std().item() / 400**0.5
        hits = torch.tensor([one.precision for one in seeds])
        assert abs(hits.mean().item() - expected.precision) < 5 * hits.std().item() / 400**0.5


@pytest.mark.parametrize("k", [1, 20, None])
@pytest.mark.parametrize("ties", ["expected", "seeded"])
def test_floats_without_ties_equal_torchmetrics(k, ties):
    generator = torch.Generator().manual_seed(2)
    distances, relevance = draw("floats", generator), draw_relevance("single", generator)
    scores = 1 / (1 + distances.block(0, QUERIES))  # positive: torchmetrics drops relevant items scored 0 or less
    queries = torch.arange(QUERIES).unsqueeze(1).expand(-1, DATABASE)
    theirs = RetrievalMAP(empty_target_action="neg", top_k=k)
    theirs.update(scores.flatten(), relevance.block(0, QUERIES).flatten(), queries.flatten())
    ours = evaluate(distances, relevance, k=k, ties=ties)
    assert ours.mean_average_precision == pytest.approx(theirs.compute().item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["bits", "codes", "products"])
@pytest.mark.parametrize("ties", ["expected", "seeded"])
def test_a_tiny_budget_equals_a_large_one(kind, ties):
    generator = torch.Generator().manual_seed(3)
    distances, relevance = draw(kind, generator), draw_relevance("several", generator)
    for k in (20, None):
        tiny, large = (evaluate(distances, relevance, k=k, ties=ties, memory=memory) for memory in (1, 2**28))
        torch.testing.assert_close(tiny.average_precision, large.average_precision, rtol=0, atol=1e-12)


def test_the_seed_chooses_the_order():
    generator = torch.Generator().manual_seed(4)
    distances, relevance = draw("bits", generator), draw_relevance("single", generator)
    first, again, other = (evaluate(distances, relevance, k=5, ties="seeded", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.average_precision, again.average_precision)
    assert not torch.equal(first.average_precision, other.average_precision)


def test_parts_of_the_database_are_put_together(monkeypatch):
    generator = torch.Generator().manual_seed(5)
    distances, relevance = draw("bits", generator), draw_relevance("several", generator)
    whole = distances.block(2, 9), relevance.block(2, 9)
    monkeypatch.setattr(distances_module, "CODES_AT_ONCE", 7)
    monkeypatch.setattr(relevance_module, "IMAGES_AT_ONCE", 7)
    assert torch.equal(distances.block(2, 9), whole[0])
    assert torch.equal(relevance.block(2, 9), whole[1])


def test_order_of_negative_tiny_and_infinite_distances():
    values = [float("inf"), 3.0, 1e-45, 0.0, -0.0, -1e-45, -2.0, -3.0, float("-inf")]
    distances = torch.tensor([values])
    for relevant in torch.eye(len(values), dtype=torch.bool):
        groups = group_sorted(distances, relevant.unsqueeze(0), len(values))
        place = len(values) - 1 - int(relevant.nonzero())
        group = place - (place > 4)  # -0.0 and 0.0 are one group, the fifth
        assert groups.sizes[0, :8].tolist() == [1, 1, 1, 1, 2, 1, 1, 1]
        assert groups.relevant[0].nonzero().tolist() == [[group]]


def test_nothing_is_changed():
    distances, relevant = torch.tensor([[3, 1, 1, 0]], dtype=torch.int32), torch.tensor([[True, False, True, False]])
    floats, longs = distances.float(), distances.long()
    for values in (distances, floats, longs):
        kept, order = values.clone(), torch.tensor([2, 0, 3, 1])
        group_sorted(values, relevant, 2)
        ordered(values, relevant, order, 2)
        if not values.is_floating_point():
            group_levels(values, relevant, 4)
        assert torch.equal(values, kept)
        assert relevant.tolist() == [[True, False, True, False]]
        assert order.tolist() == [2, 0, 3, 1]
