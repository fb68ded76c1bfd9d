"""The grid of random hyperplanes, and the values that every search is judged by."""

import dataclasses

import pytest
import torch

from retrieval_lib.evaluation import Euclidean, Hamming, Relevance, evaluate
from retrieval_lib.experiments import Job, judge
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.hashing import fit_lsh


@pytest.fixture
def jobs(digits):
    grid = GRIDS["lsh-pixels"]
    made = [Job(cell, digits, cell.split(digits), "quick") for cell in grid.cells("quick", digits)]
    return {(job.cell.method, job.cell.variant, job.cell.bits, job.cell.seed): job for job in made}


def headline(values):
    (value,) = [v.value for v in values if (v.divisor, v.ties) == ("retrieved", "expected")]
    return value


@pytest.mark.parametrize("k", [10, None])
def test_judge_gives_what_evaluate_gives(k):
    generator = torch.Generator().manual_seed(0)
    query, database = (torch.rand(n, 8, generator=generator) < 0.5 for n in (7, 60))
    relevance = Relevance(torch.arange(7) % 3, torch.arange(60) % 3)
    found = Hamming(query, database)
    values = judge(found, relevance, k=k)
    different = 4 if k else 2  # without a cut, both divisors are the number of relevant images
    assert len(values) == 4 and len({v.value for v in values}) == different
    for value in values:
        scores = evaluate(found, relevance, k=k, divisor=value.divisor, ties=value.ties)
        assert value.value == pytest.approx(scores.mean_average_precision, abs=1e-12)
        assert (value.metric, value.search, value.k) == ("mAP", "test", k)


def test_the_cells(jobs, digits):
    assert len(jobs) == 2 + 6 * 5
    for bits in (16, 32, 64, 128, 256, 512):
        assert {key[3] for key in jobs if key[2] == bits} == {0, 1, 2, 3, 4}
    cifar = dataclasses.replace(digits, name="cifar10")
    for profile in ("book", "full"):
        assert {c.protocol for c in GRIDS["lsh-pixels"].cells(profile, cifar)} == {"cifar10-10k-50k"}


def test_the_values_are_those_of_a_search_written_out(jobs, digits):
    job = jobs["LSH", "centred", 16, 3]
    search = job.split.searches["test"]
    query, database = (digits.images[i].flatten(1).float() / 255 for i in (search.query, search.database))
    code = fit_lsh(database, 16, seed=3)
    relevance = Relevance(digits.labels[search.query], digits.labels[search.database])
    expected = evaluate(Hamming(code.encode(query), code.encode(database)), relevance, k=1000)
    run = GRIDS["lsh-pixels"].run
    assert headline(run(job)) == pytest.approx(expected.mean_average_precision, abs=1e-9)
    exact = evaluate(Euclidean(query, database), relevance, k=1000).mean_average_precision
    assert headline(run(jobs["exact", "Euclidean", None, 0])) == pytest.approx(exact, abs=1e-6)


def test_more_bits_come_nearer_to_the_search_that_they_estimate(jobs):
    run = GRIDS["lsh-pixels"].run
    limit = headline(run(jobs["exact", "cosine, centred", None, 0]))
    means = [sum(headline(run(jobs["LSH", "centred", bits, seed])) for seed in range(3)) / 3 for bits in (16, 64, 512)]
    assert means[0] < means[1] < means[2] < limit
    assert limit - means[2] < 0.25 * (limit - means[0])
