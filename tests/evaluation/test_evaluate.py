"""Blocks, rules by name, precision and recall, several labels, and what is refused."""

import numpy as np
import pytest
import torch

from retrieval_lib.evaluation import (
    ADC,
    Euclidean,
    Hamming,
    InnerProduct,
    Relevance,
    evaluate,
    mean_interval,
    paired_difference,
    precision_recall_curve,
    repeatability_limit,
)
from retrieval_lib.evaluation.evaluate import BYTES_COUNTED, BYTES_JUDGED, BYTES_SORTED, MEMORY, block_size


@pytest.fixture
def search():
    generator = torch.Generator().manual_seed(0)
    query, database = torch.randn(30, 5, generator=generator), torch.randn(400, 5, generator=generator)
    return Euclidean(query, database), Relevance(torch.arange(30) % 7, torch.arange(400) % 7)


def test_memory_changes_the_blocks_and_nothing_else(search):
    one_at_a_time, at_once = (evaluate(*search, k=50, memory=m) for m in (1, MEMORY))
    torch.testing.assert_close(one_at_a_time.average_precision, at_once.average_precision)
    assert one_at_a_time.mean_average_precision == pytest.approx(at_once.mean_average_precision, abs=1e-12)
    assert (one_at_a_time.precision, one_at_a_time.recall) == pytest.approx((at_once.precision, at_once.recall))
    assert block_size(400, 50, False, 1) == 1
    assert block_size(400, 50, False, MEMORY) > 30


def test_a_million_images_stay_within_the_budget():
    million = 1_000_000
    counted, whole = block_size(million, 1000, True, MEMORY), block_size(million, million, False, MEMORY)
    assert 10 < counted <= MEMORY / (million * BYTES_COUNTED)
    assert 1 <= whole <= MEMORY / (million * (BYTES_SORTED + BYTES_JUDGED))


def test_precision_and_recall_at_k_by_a_loop(search):
    distances, relevance = search
    scores = evaluate(distances, relevance, k=20)
    ranking = distances.block(0, 30).argsort(1)[:, :20]
    marks = relevance.block(0, 30)
    found = torch.stack([marks[i, ranking[i]].sum() for i in range(30)])
    assert scores.precision == pytest.approx((found / 20).double().mean().item())
    assert scores.recall == pytest.approx((found.double() / marks.sum(1)).mean().item())


def test_curve_begins_at_the_first_place_and_ends_with_everything(search):
    distances, relevance = search
    k, precision, recall = precision_recall_curve(distances, relevance, points=20)
    assert k[0] == 1 and k[-1] == 400 and (k[1:] > k[:-1]).all()
    assert recall[-1].item() == pytest.approx(1.0)
    share = relevance.block(0, 30).double().mean().item()
    assert precision[-1].item() == pytest.approx(share)
    at = int((k == k[5]).nonzero())
    scores = evaluate(distances, relevance, k=int(k[5]))
    assert precision[at].item() == pytest.approx(scores.precision)
    assert recall[at].item() == pytest.approx(scores.recall)
    assert (recall[1:] >= recall[:-1] - 1e-12).all()


def test_one_shared_label_is_enough():
    query, database = torch.tensor([[1, 1, 0]]).bool(), torch.tensor([[0, 1, 1], [0, 0, 1], [1, 1, 0]]).bool()
    assert Relevance(query, database).block(0, 1).tolist() == [[True, False, True]]


def test_queries_without_a_hit_count_as_zero_or_are_left_out_by_name():
    distances = Euclidean(torch.zeros(2, 1), torch.tensor([[1.0], [2.0]]))
    relevance = Relevance(torch.tensor([0, 9]), torch.tensor([0, 1]))
    assert evaluate(distances, relevance, k=2).mean_average_precision == pytest.approx(0.5)
    left_out = evaluate(distances, relevance, k=2, queries_without_hit="left out")
    assert left_out.mean_average_precision == pytest.approx(1.0) and left_out.left_out == 1
    assert left_out.average_precision.tolist() == [1.0, 0.0]
    assert left_out.precision == pytest.approx(0.25) and left_out.recall == pytest.approx(0.5)
    with pytest.raises(ValueError, match="none is left"):
        evaluate(distances, Relevance(torch.tensor([8, 9]), torch.tensor([0, 1])), k=2, queries_without_hit="left out")


def test_all_relevant_caps_the_score_where_k_is_small():
    distances = Euclidean(torch.zeros(1, 1), torch.arange(10.0).unsqueeze(1))
    relevance = Relevance(torch.tensor([0]), torch.zeros(10, dtype=torch.int64))  # a perfect ranking
    scores = {d: evaluate(distances, relevance, k=2, divisor=d).mean_average_precision for d in
              ("retrieved", "min(k, R)", "all relevant")}  # fmt: skip
    assert scores == pytest.approx({"retrieved": 1.0, "min(k, R)": 1.0, "all relevant": 0.2})


def test_distances_equal_their_definitions():
    generator = torch.Generator().manual_seed(0)
    query, database = torch.randn(4, 6, generator=generator), torch.randn(9, 6, generator=generator) + 3
    torch.testing.assert_close(Euclidean(query, database).block(1, 3), torch.cdist(query[1:3], database) ** 2)
    torch.testing.assert_close(InnerProduct(query, database).block(0, 4), -(query @ database.T))
    tables = torch.rand(4, 3, 16, generator=generator)
    codes = torch.randint(0, 16, (9, 3), generator=generator, dtype=torch.uint8)
    expected = [[sum(float(tables[q, m, int(codes[n, m])]) for m in range(3)) for n in range(9)] for q in range(4)]
    torch.testing.assert_close(ADC(tables, codes).block(0, 4), torch.tensor(expected))


def test_the_score_says_what_it_is(search):
    text = str(evaluate(*search, k=5, divisor="min(k, R)", ties="seeded", seed=3, queries_without_hit="left out"))
    assert "mAP@5" in text and "min(k, R)" in text and "seeded: one order, seed 3" in text and "left out" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"divisor": "R"}, "no divisor 'R'; choose from retrieved"),
        ({"ties": "stable"}, "ties='stable'"),
        ({"queries_without_hit": "skip"}, "queries_without_hit='skip'"),
    ],
)
def test_unknown_rules_are_named(search, settings, message):
    with pytest.raises(ValueError, match=message):
        evaluate(*search, **settings)


def test_bad_input_is_named(search):
    distances, relevance = search
    with pytest.raises(ValueError, match=r"\(30, 400\) but labels are for \(30, 7\)"):
        evaluate(distances, Relevance(relevance.query_labels, torch.arange(7)))
    with pytest.raises(ValueError, match="database is empty"):
        Relevance(torch.arange(3), torch.arange(0))
    with pytest.raises(ValueError, match="both must be"):
        Relevance(torch.arange(3), torch.zeros(3, 2).bool())
    with pytest.raises(ValueError, match="no queries"):
        evaluate(Euclidean(torch.zeros(0, 2), torch.zeros(3, 2)), Relevance(torch.arange(0), torch.arange(3)))
    with pytest.raises(ValueError, match="NaN"):
        evaluate(
            Euclidean(torch.full((3, 2), torch.nan), torch.zeros(3, 2)), Relevance(torch.arange(3), torch.arange(3))
        )
    with pytest.raises(ValueError, match="expected bool"):
        Hamming(torch.zeros(2, 8), torch.zeros(2, 8))
    with pytest.raises(ValueError, match=r"tables have shape \(2, 16\); expected \(Q, M, K\)"):
        ADC(torch.zeros(2, 16), torch.zeros(3, 2).long())
    with pytest.raises(ValueError, match="floats of one kind"):
        Euclidean(torch.zeros(2, 3), torch.zeros(2, 3).double())
    with pytest.raises(ValueError, match="class numbers"):
        Relevance(torch.arange(3), torch.zeros(3))
    with pytest.raises(ValueError, match="class numbers"):
        Relevance(torch.zeros(3, 2).bool(), torch.zeros(3, 2).long())
    with pytest.raises(ValueError, match="points=1"):
        precision_recall_curve(distances, relevance, points=1)
    with pytest.raises(ValueError, match="do not belong together"):
        Euclidean(torch.zeros(2, 3), torch.zeros(2, 4))


def test_intervals_are_those_of_the_t_distribution():
    interval = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    half = 2.7764451 * (0.025 / 5) ** 0.5  # t with 4 degrees of freedom; variance 0.025
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.3, 0.3 - half, 0.3 + half))
    shifted = paired_difference([1.1, 5.2, 3.0], [1.0, 5.0, 3.1])
    assert shifted.mean == pytest.approx(0.2 / 3) and not shifted.excludes_zero
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match="Paired"):
        paired_difference([1.0, 2.0], [1.0])


@pytest.mark.parametrize("seeds", [3, 5])
def test_two_single_runs_are_within_the_repeatability_limit_in_95_of_100_cases(seeds):
    draws = np.random.default_rng(0).normal(size=(2000, seeds + 2))
    apart = np.array([abs(one - two) > repeatability_limit(recorded) for one, two, *recorded in draws.tolist()])
    assert 0.035 < apart.mean() < 0.065
    many = np.random.default_rng(0).normal(size=5000)
    assert repeatability_limit(many) == pytest.approx(2.8, rel=0.03)  # ISO 5725-6
    with pytest.raises(ValueError, match="at least two"):
        repeatability_limit([1.0])
