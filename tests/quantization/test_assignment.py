"""Soft weights against loops; soft tends to hard; gradients; the order of images, of codebooks and of codewords."""

import math

import pytest
import torch

from retrieval_lib.evaluation import ADC
from retrieval_lib.quantization import (
    ProductQuantizer,
    intra_normalize,
    mixture,
    part_distances,
    soft_assignment,
    straight_through,
)
from retrieval_lib.quantization.assignment import METRICS

SOFT = ("squared Euclidean", "inner product")


def distance(part, word, metric):
    """Of two lists of numbers."""
    if metric == "inner product":
        return -sum(a * b for a, b in zip(part, word, strict=True))
    squared = sum((a - b) ** 2 for a, b in zip(part, word, strict=True))
    return math.sqrt(squared) if metric == "Euclidean" else squared


@pytest.fixture(params=[(1, 2, 3), (3, 5, 4), (8, 16, 2)], ids=str)
def drawn(request):
    """Parts (7, M, d) and codebooks (M, K, d), in double precision."""
    books, words, d = request.param
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(7, books, d, generator=generator, dtype=torch.float64)
    return parts, torch.randn(books, words, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_a_loop(drawn, metric):
    parts, books = drawn
    found = part_distances(parts, books, metric)
    assert found.shape == (7, *books.shape[:2])
    for n, m, k in torch.cartesian_prod(*(torch.arange(s) for s in found.shape)).tolist():
        expected = distance(parts[n, m].tolist(), books[m, k].tolist(), metric)
        assert float(found[n, m, k]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("metric", SOFT)
@pytest.mark.parametrize("sharpness", [0.2, 5.0, 20.0])
def test_soft_weights_and_their_mixture_are_those_of_a_loop(drawn, metric, sharpness):
    parts, books = drawn
    weights = soft_assignment(parts, books, sharpness, metric)
    mixed = mixture(weights, books)
    for n in range(len(parts)):
        for m in range(len(books)):
            raw = [math.exp(-sharpness * distance(parts[n, m].tolist(), w.tolist(), metric)) for w in books[m]]
            expected = torch.tensor([value / sum(raw) for value in raw]).double()
            torch.testing.assert_close(weights[n, m], expected, atol=1e-7, rtol=1e-6)
            summed = sum(float(a) * w for a, w in zip(weights[n, m], books[m], strict=True))
            torch.testing.assert_close(mixed[n, m], summed)


def test_one_minus_the_inner_product_gives_the_same_weights(drawn):
    parts, books = drawn
    exponents = -20 * (1 - torch.einsum("nmd,mkd->nmk", parts, books))
    torch.testing.assert_close(soft_assignment(parts, books, 20.0, "inner product"), exponents.softmax(2))


@pytest.mark.parametrize("metric", SOFT)
def test_soft_tends_to_hard_as_the_sharpness_grows(drawn, metric):
    parts, books = drawn
    quantizer = ProductQuantizer(books)
    codes = quantizer.encode(parts.flatten(1), metric)
    hard = quantizer.decode(codes).view_as(parts)
    away = [
        float((mixture(soft_assignment(parts, books, sharpness, metric), books) - hard).abs().max())
        for sharpness in (1.0, 10.0, 100.0, 1e6)
    ]
    assert away[0] > away[1] > away[2] >= away[3] and away[0] > 0.1 and away[3] < 1e-9
    one_hot = torch.nn.functional.one_hot(codes, books.shape[1]).double()
    torch.testing.assert_close(mixture(one_hot, books), hard)


@pytest.mark.parametrize("metric", SOFT)
def test_codes_name_the_nearest_codeword_by_the_metric(drawn, metric):
    parts, books = drawn
    codes = ProductQuantizer(books).encode(parts.flatten(1), metric)
    for n in range(len(parts)):
        for m in range(len(books)):
            by_hand = [distance(parts[n, m].tolist(), w.tolist(), metric) for w in books[m]]
            assert codes[n, m] == by_hand.index(min(by_hand))


def test_the_nearest_by_inner_product_is_another_where_norms_differ_and_the_same_where_they_do_not(drawn):
    parts, books = drawn
    parts, short = intra_normalize(parts), books * torch.linspace(0.1, 3, books.shape[1]).double()[:, None]
    euclidean, product = (ProductQuantizer(short).encode(parts.flatten(1), metric) for metric in SOFT)
    assert not torch.equal(euclidean, product)
    unit = ProductQuantizer(intra_normalize(books))
    assert torch.equal(*(unit.encode(parts.flatten(1), metric) for metric in SOFT))


@pytest.mark.parametrize("metric", METRICS)
def test_the_sum_over_a_table_is_what_its_name_says(drawn, metric):
    query, books = drawn[0].flatten(1), drawn[1]
    quantizer = ProductQuantizer(books)
    codes = torch.randint(0, books.shape[1], (11, len(books)), generator=torch.Generator().manual_seed(1))
    found = ADC(quantizer.look_up_tables(query, metric), codes).block(0, 7)
    for q in range(7):
        for n in range(11):
            decoded = quantizer.decode(codes)[n]
            if metric == "inner product":
                expected = -query[q] @ decoded
            elif metric == "squared Euclidean":
                expected = ((query[q] - decoded) ** 2).sum()
            else:
                expected = sum((a - b).norm() for a, b in zip(drawn[0][q], decoded.view(len(books), -1), strict=True))
            torch.testing.assert_close(found[q, n], expected)


def test_plain_and_squared_sums_rank_differently():
    """Away by 3 in one part, or by 2 in both: which is nearer depends on the square."""
    quantizer = ProductQuantizer(torch.tensor([[[0.0], [3.0], [2.0]]] * 2))
    codes, query = torch.tensor([[1, 0], [2, 2]]), torch.zeros(1, 2)
    squared, plain = (
        ADC(quantizer.look_up_tables(query, m), codes).block(0, 1).tolist() for m in ("squared Euclidean", "Euclidean")
    )
    assert squared == [[9.0, 8.0]] and plain == [[3.0, 4.0]]


def test_intra_normalised_parts_have_norm_one_each(drawn):
    parts = drawn[0]
    unit = intra_normalize(parts)
    for n in range(len(parts)):
        for m in range(parts.shape[1]):
            torch.testing.assert_close(unit[n, m], parts[n, m] / math.sqrt(sum(v * v for v in parts[n, m].tolist())))
    assert not intra_normalize(torch.zeros(1, 2, 3)).any()


@pytest.mark.parametrize("metric", SOFT)
def test_gradients_are_those_of_finite_differences(metric):
    generator = torch.Generator().manual_seed(0)
    parts, books = torch.randn(3, 2, 4, generator=generator), torch.randn(2, 5, 4, generator=generator)

    def quantized(parts, books):
        return mixture(soft_assignment(intra_normalize(parts), books, 2.0, metric), books)

    assert torch.autograd.gradcheck(quantized, (parts.double().requires_grad_(), books.double().requires_grad_()))


@pytest.mark.parametrize("metric", SOFT)
def test_orders_do_not_matter_and_inputs_are_left_alone(drawn, metric):
    parts, books = drawn
    before = parts.clone(), books.clone()
    mixed = mixture(soft_assignment(parts, books, 3.0, metric), books)
    images, words, cut = (torch.randperm(n) for n in (len(parts), books.shape[1], len(books)))
    again = mixture(soft_assignment(parts[images], books[:, words], 3.0, metric), books[:, words])
    torch.testing.assert_close(again, mixed[images])
    again = mixture(soft_assignment(parts[:, cut], books[cut], 3.0, metric), books[cut])
    torch.testing.assert_close(again, mixed[:, cut])
    assert torch.equal(parts, before[0]) and torch.equal(books, before[1])


def test_wrong_input_is_named():
    parts, books = torch.zeros(2, 3, 4), torch.zeros(3, 5, 4)
    with pytest.raises(ValueError, match="no metric 'cosine'; choose one of squared Euclidean"):
        part_distances(parts, books, "cosine")
    for wrong in (torch.zeros(2, 12), torch.zeros(2, 2, 4), torch.zeros(2, 3, 5)):
        with pytest.raises(ValueError, match=r"expected \(N, M, d\) and \(M, K, d\)"):
            part_distances(wrong, books)
    with pytest.raises(ValueError, match=r"sharpness=0.0: give a positive number"):
        soft_assignment(parts, books, 0.0)
    with pytest.raises(ValueError, match="take `squared Euclidean`"):
        soft_assignment(parts, books, 1.0, "Euclidean")
    with pytest.raises(ValueError, match="no metric 'cosine'"):
        ProductQuantizer(books).encode(torch.zeros(2, 12), "cosine")


def test_straight_through_chooses_hard_and_learns_softly(drawn):
    parts, books = drawn
    own, again = parts.clone().requires_grad_(), parts.clone().requires_grad_()
    soft = soft_assignment(own, books, 2.0)
    hard = straight_through(soft)
    nearest = part_distances(parts, books).argmin(2)
    torch.testing.assert_close(hard.detach(), torch.nn.functional.one_hot(nearest, books.shape[1]).double())
    towards = torch.randn(hard.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (hard * towards).sum().backward()
    (soft_assignment(again, books, 2.0) * towards).sum().backward()
    torch.testing.assert_close(own.grad, again.grad)
    assert own.grad.abs().sum() > 0
