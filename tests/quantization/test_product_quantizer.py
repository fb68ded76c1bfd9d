"""Codes, what they stand for and their look-up tables, against loops written out."""

import pytest
import torch

from retrieval_lib.quantization import ProductQuantizer


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=["plain", "rotated"])
def quantizer(request, generator):
    books = torch.randn(3, 5, 4, generator=generator)
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q if request.param == "rotated" else None
    return ProductQuantizer(books, rotation)


def parts_by_hand(quantizer, x):
    turned = x if quantizer.rotation is None else x @ quantizer.rotation
    return [turned[4 * m : 4 * m + 4] for m in range(3)]


def test_codes_and_tables_are_those_of_a_loop(quantizer, generator):
    x = torch.randn(7, 12, generator=generator)
    tables, codes = quantizer.look_up_tables(x), quantizer.encode(x)
    assert tables.shape == (7, 3, 5) and codes.shape == (7, 3) and codes.dtype == torch.int64
    for n in range(7):
        for m, part in enumerate(parts_by_hand(quantizer, x[n])):
            expected = torch.stack([((part - word) ** 2).sum() for word in quantizer.codebooks[m]])
            torch.testing.assert_close(tables[n, m], expected)
            assert codes[n, m] == expected.argmin()


def test_decode_gives_the_codewords_turned_back(quantizer, generator):
    codes = torch.randint(0, 5, (9, 3), generator=generator)
    decoded = quantizer.decode(codes)
    for n in range(9):
        for m, part in enumerate(parts_by_hand(quantizer, decoded[n])):
            torch.testing.assert_close(part, quantizer.codebooks[m, codes[n, m]])
    assert torch.equal(quantizer.encode(decoded), codes), "a codeword is its own nearest"


def test_the_sum_over_a_table_is_the_distance_to_what_the_code_stands_for(quantizer, generator):
    query, x = torch.randn(4, 12, generator=generator), torch.randn(20, 12, generator=generator)
    codes = quantizer.encode(x)
    summed = quantizer.look_up_tables(query)[:, torch.arange(3), codes].sum(2)  # (4, 20)
    torch.testing.assert_close(summed, torch.cdist(query, quantizer.decode(codes)) ** 2)


def test_the_error_is_that_of_the_nearest_codewords(quantizer, generator):
    x = torch.randn(30, 12, generator=generator)
    expected = torch.cdist(x, quantizer.decode(quantizer.encode(x))).diag() ** 2
    assert quantizer.error(x) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_many_descriptors_are_encoded_in_blocks(quantizer, generator, monkeypatch):
    x = torch.randn(25, 12, generator=generator)
    whole = quantizer.encode(x)
    monkeypatch.setattr("retrieval_lib.quantization.product_quantizer.DESCRIPTORS_AT_ONCE", 10)
    assert torch.equal(quantizer.encode(x), whole)


def test_of_equally_near_codewords_the_first():
    books = torch.tensor([[[1.0], [-1.0], [1.0]]])
    assert ProductQuantizer(books).encode(torch.tensor([[0.0], [3.0]])).tolist() == [[0], [0]]


@pytest.mark.parametrize(("codewords", "bits"), [(2, 3), (16, 12), (256, 24), (10, 12)])
def test_bits(codewords, bits):
    assert ProductQuantizer(torch.zeros(3, codewords, 2)).bits == bits


def test_wrong_input_is_named(quantizer):
    with pytest.raises(ValueError, match=r"shape \(7, 11\).*need \(N, 12\)"):
        quantizer.encode(torch.zeros(7, 11))
    with pytest.raises(
        ValueError, match=r"are torch\.float64; codebooks of torch\.float32 .* call \.to\(torch\.float32\)"
    ):
        quantizer.encode(torch.zeros(7, 12).double())
    with pytest.raises(ValueError, match="NaN"):
        quantizer.encode(torch.full((1, 12), float("nan")))
    with pytest.raises(ValueError, match="infinity"):
        quantizer.encode(torch.full((1, 12), float("inf")))
    with pytest.raises(ValueError, match=r"expected integers \(N, 3\)"):
        quantizer.decode(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"codes go from 0 to 5; expected integers \(N, 3\) from 0 to 4"):
        quantizer.decode(torch.tensor([[0, 1, 5]]))
    with pytest.raises(ValueError, match="codebooks hold NaN"):
        ProductQuantizer(torch.full((3, 4, 2), torch.nan))
    with pytest.raises(ValueError, match=r"expected floats \(M, K, d\)"):
        ProductQuantizer(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"need torch.float32 of shape \(6, 6\)"):
        ProductQuantizer(torch.zeros(3, 4, 2), torch.eye(5))
    with pytest.raises(ValueError, match=r"The rotation is torch.float64"):
        ProductQuantizer(torch.zeros(3, 4, 2), torch.eye(6).double())


@pytest.mark.parametrize("stretch", [2.0, 1.01, torch.nan, torch.inf])
def test_a_matrix_that_stretches_is_no_rotation(stretch):
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0))).Q
    ProductQuantizer(torch.zeros(3, 4, 2), turn.requires_grad_())
    with pytest.raises(ValueError, match="misses the identity by"):
        ProductQuantizer(torch.zeros(3, 4, 2), stretch * turn)
