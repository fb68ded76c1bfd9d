"""Searches over faiss against brute force, image by image."""

import pytest
import torch

from retrieval_lib.evaluation import ADC
from retrieval_lib.hashing import hamming_distance
from retrieval_lib.index import METRICS, HammingIndex, PQIndex
from retrieval_lib.quantization import ProductQuantizer
from tests.index.conftest import agree_with_brute_force, whole_numbers


def reference(quantizer, query, codes, metric):
    if metric == "inner product":
        return -(query @ quantizer.decode(codes).T)
    return ADC(quantizer.look_up_tables(query), codes).block(0, len(query))


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 64, 100, 256])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_hamming(generator, bits, k):
    query, database = (torch.rand(n, bits, generator=generator) < 0.5 for n in (9, 300))
    index = HammingIndex(bits)
    index.add(database[:200])
    index.add(database[200:])
    distances, ids = index.search(query, k)
    agree_with_brute_force(distances, ids, hamming_distance(query, database))
    assert len(index) == 300 and index.bits == bits


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("books", "words", "d"),
    [(1, 2, 3), (4, 16, 2), (3, 16, 5), (2, 256, 4), (8, 16, 12), (5, 4, 1), (2, 8, 2), (3, 512, 2)],
)
@pytest.mark.parametrize("k", [1, 20, 250])
def test_product_codes(generator, metric, books, words, d, k):
    quantizer = ProductQuantizer(whole_numbers(books, words, d, generator=generator))
    codes = torch.randint(0, words, (250, books), generator=generator)
    query = whole_numbers(9, books * d, generator=generator)
    index = PQIndex(quantizer, metric)
    index.add(codes[:100])
    index.add(codes[100:])
    distances, ids = index.search(query, k)
    agree_with_brute_force(distances, ids, reference(quantizer, query, codes, metric))


@pytest.mark.parametrize("metric", METRICS)
def test_a_rotation_is_applied_to_the_query(rotated, generator, metric):
    codes = torch.randint(0, 16, (200, 4), generator=generator)
    query = whole_numbers(9, 8, generator=generator)
    index = PQIndex(rotated, metric)
    index.add(codes)
    expected = reference(rotated, query, codes, metric)
    agree_with_brute_force(*index.search(query, 30), expected)
    unturned = reference(ProductQuantizer(rotated.codebooks), query, codes, metric)
    assert not torch.equal(expected, unturned), "or this test says nothing"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rotation", [False, True])
def test_the_refined_fast_scan_gives_exact_distances_and_finds_nearly_all(generator, rotated, metric, rotation):
    quantizer = ProductQuantizer(torch.randn(4, 16, 2, generator=generator), rotated.rotation if rotation else None)
    codes = torch.randint(0, 16, (3000, 4), generator=generator)
    query = torch.randn(50, 8, generator=generator)
    exact = reference(quantizer, query, codes, metric)
    index = PQIndex(quantizer, metric, fast=True)
    index.add(codes[:1000])
    index.add(codes[1000:])
    distances, ids = index.search(query, 20)
    torch.testing.assert_close(distances, exact.gather(1, ids), atol=1e-4, rtol=1e-5)
    at_most = exact.sort(dim=1).values[:, 19:20] + 1e-4
    assert (distances <= at_most).float().mean() > 0.97  # as near as the true twentieth


def test_more_refinement_finds_more(generator):
    quantizer = ProductQuantizer(torch.randn(4, 16, 2, generator=generator))
    codes = torch.randint(0, 16, (3000, 4), generator=generator)
    query = torch.randn(50, 8, generator=generator)
    nearest = reference(quantizer, query, codes, "squared Euclidean").sort(dim=1).values[:, :20]
    missed = []
    for refine in (1, 4):
        index = PQIndex(quantizer, fast=True, refine=refine)
        index.add(codes)
        missed.append(float(((index.search(query, 20)[0] - nearest).abs() > 1e-4).float().mean()))
    assert missed[0] > missed[1]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rotation", [False, True])
def test_the_fast_scan_returns_an_image_at_every_place(generator, metric, rotation):
    """faiss alone gives id -1 where the scan drops the images at its greatest distance."""
    turn = torch.eye(2).flip(0) if rotation else None
    quantizer = ProductQuantizer(torch.randn(1, 16, 2, generator=generator), turn)
    codes = torch.randint(0, 16, (300, 1), generator=generator)
    query = torch.randn(30, 2, generator=generator)
    index = PQIndex(quantizer, metric, fast=True)
    index.add(codes)
    distances, ids = index.search(query, 300)
    assert torch.equal(ids.sort(dim=1).values, torch.arange(300).expand(30, 300))
    exact = reference(quantizer, query, codes, metric)
    torch.testing.assert_close(distances, exact.sort(dim=1).values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(distances, exact.gather(1, ids), atol=1e-5, rtol=1e-5)


def test_a_single_query_and_all_images(generator):
    index = HammingIndex(8)
    index.add(torch.rand(5, 8, generator=generator) < 0.5)
    assert sorted(index.search(torch.zeros(1, 8).bool(), 5)[1][0].tolist()) == list(range(5))


@pytest.mark.parametrize("k", [0, -1, 6])
def test_a_k_that_cannot_be_filled(generator, k):
    index = HammingIndex(8)
    index.add(torch.rand(5, 8, generator=generator) < 0.5)
    with pytest.raises(ValueError, match=f"k={k}: the index holds 5 codes"):
        index.search(torch.zeros(1, 8).bool(), k)


def test_wrong_hamming_codes_are_named():
    with pytest.raises(ValueError, match="bits=0"):
        HammingIndex(0)
    for wrong in (torch.zeros(3, 9).bool(), torch.zeros(3, 8), torch.zeros(8).bool()):
        with pytest.raises(ValueError, match=r"expected bool \(N, 8\)"):
            HammingIndex(8).add(wrong)


def test_wrong_queries_are_named(rotated):
    index = PQIndex(rotated)
    index.add(torch.zeros(3, 4).long())
    with pytest.raises(ValueError, match=r"takes \(Q, 8\)"):
        index.search(torch.zeros(1, 9), 1)
    for wrong in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="NaN or an infinite value"):
            index.search(torch.full((1, 8), wrong), 1)


def test_codebooks_that_faiss_cannot_hold():
    with pytest.raises(ValueError, match="no metric 'cosine'; choose one of squared Euclidean, inner product"):
        PQIndex(ProductQuantizer(torch.zeros(2, 16, 2)), "cosine")
    with pytest.raises(ValueError, match=r"a power of two of codewords.*these codebooks have 10"):
        PQIndex(ProductQuantizer(torch.zeros(2, 10, 2)))
    with pytest.raises(ValueError, match="needs 16 codewords; these codebooks have 256"):
        PQIndex(ProductQuantizer(torch.zeros(2, 256, 2)), fast=True)
    for words in (2, 4):
        with pytest.raises(ValueError, match=f"parts of 2 numbers with fewer than 8 codewords.*have {words}"):
            PQIndex(ProductQuantizer(torch.zeros(2, words, 2)))
    with pytest.raises(ValueError, match=r"refine=0\.5: give at least 1"):
        PQIndex(ProductQuantizer(torch.zeros(2, 16, 2)), fast=True, refine=0.5)
