"""The grid of fitted codes: its cells, and a cell's values against the search written out."""

import pytest
import torch
from torch.nn.functional import normalize

from retrieval_lib.evaluation import ADC, Hamming, Relevance, evaluate
from retrieval_lib.experiments import Job
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.shallow_codes import BITS, DESCRIPTORS, METHODS, distances_by
from retrieval_lib.hashing import fit_itq
from retrieval_lib.quantization import fit_pq


@pytest.fixture
def jobs(digits):
    grid = GRIDS["shallow-codes"]
    made = [Job(cell, digits, cell.split(digits), "quick") for cell in grid.cells("quick", digits)]
    return {(job.cell.method, job.cell.variant, job.cell.bits, job.cell.seed): job for job in made}


def test_every_method_has_every_length_on_both_descriptors_under_every_seed(jobs):
    assert len(jobs) == len(DESCRIPTORS) * (1 + len(METHODS) * len(BITS)) * 5


@pytest.mark.parametrize("method", ["ITQ", "PQ", "PQ, 256 codewords"])
def test_the_values_are_those_of_a_search_written_out(jobs, digits, method):
    job = jobs[method, "pixels", 16, 3]
    search = job.split.searches["test"]
    order = torch.randperm(len(job.split.train), generator=torch.Generator().manual_seed(3))
    parts = (job.split.train[order], search.query, search.database)
    train, query, database = (digits.images[i].flatten(1).float() / 255 for i in parts)
    mean = train.mean(0)
    train, query, database = (normalize(x - mean, dim=1) for x in (train, query, database))
    if method == "ITQ":
        code = fit_itq(train, 16, 3)
        distances = Hamming(code.encode(query), code.encode(database))
    else:
        quantizer = fit_pq(train, 4, 16, 3) if method == "PQ" else fit_pq(train, 2, 256, 3)
        assert quantizer.bits == 16
        distances = ADC(quantizer.look_up_tables(query), quantizer.encode(database))
    expected = evaluate(distances, Relevance(digits.labels[search.query], digits.labels[search.database]), k=1000)
    found = [v.value for v in GRIDS["shallow-codes"].run(job) if (v.divisor, v.ties) == ("retrieved", "expected")]
    assert found == [pytest.approx(expected.mean_average_precision, abs=1e-9)]


@pytest.mark.parametrize("method", METHODS)
def test_long_codes_rank_nearly_as_exact_search_does(method):
    generator = torch.Generator().manual_seed(0)
    train, query, database = (torch.randn(n, 64, generator=generator) for n in (800, 20, 200))
    exact = distances_by("exact", None, 0, train, query, database).block(0, 20)
    near = distances_by(method, 64, 0, train, query, database).block(0, 20).float()
    correlation = torch.corrcoef(torch.stack([exact.flatten(), near.flatten()]))[0, 1]
    assert correlation > 0.3


def test_the_large_grid_has_the_largest_protocol(digits):
    made = GRIDS["shallow-large"].cells("book", digits)
    assert {cell.protocol for cell in made} == {"mnist-500-3500"}
    all_lengths = [("pixels", method, (16, 32, 64)) for method in ("LSH", "ITQ", "PQ")]
    one_length = [("pixels", "OPQ", (32,)), ("pretrained", "PQ", (32,)), ("pretrained", "OPQ", (32,))]
    assert [(cell.variant, cell.method, cell.bits, cell.seed) for cell in made] == [
        (variant, method, bits, seed)
        for variant, method, lengths in all_lengths + one_length
        for bits in lengths
        for seed in range(3)
    ]
