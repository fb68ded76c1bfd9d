"""Packing, the sign of zero and the Hamming distance against loops, where wrong variants differ."""

import faiss
import pytest
import torch

from retrieval_lib.hashing import (
    check_bits,
    hamming_distance,
    pack_bits,
    packed_hamming_distance,
    sign_bits,
    unpack_bits,
)


def random_bits(count, bits, seed=0):
    return torch.rand(count, bits, generator=torch.Generator().manual_seed(seed)) < 0.5


def test_zero_counts_as_positive():
    values = torch.tensor([[-1.0, -0.0, 0.0, 1e-30, -1e-30]])
    assert sign_bits(values).tolist() == [[False, True, True, True, False]]
    assert sign_bits(values).tolist() != (values > 0).tolist()  # the wrong variant differs here


def test_nan_has_no_sign():
    with pytest.raises(ValueError, match="NaN"):
        sign_bits(torch.tensor([0.0, float("nan")]))


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 64, 130])
def test_packing_round_trip_and_bit_order(bits):
    codes = random_bits(20, bits)
    packed = pack_bits(codes)
    assert packed.shape == (20, (bits + 7) // 8)
    assert torch.equal(unpack_bits(packed, bits), codes)
    expected = sum(int(codes[3, i]) << i for i in range(min(8, bits)))
    assert int(packed[3, 0]) == expected


@pytest.mark.parametrize("bits", [1, 12, 64, 200, 300])
def test_hamming_distance_equals_a_loop_and_its_packed_twin(bits):
    query, database = random_bits(5, bits), random_bits(9, bits, seed=1)
    query[0], database[0] = True, False  # the greatest distance: overflows a signed byte from 128 bits on
    expected = [[sum(a != b for a, b in zip(q, d, strict=True)) for d in database.tolist()] for q in query.tolist()]
    assert hamming_distance(query, database).tolist() == expected
    assert packed_hamming_distance(pack_bits(query), pack_bits(database)).tolist() == expected


def test_faiss_reads_the_packed_codes_alike():
    query, database = random_bits(4, 64), random_bits(50, 64, seed=1)
    index = faiss.IndexBinaryFlat(64)
    index.add(pack_bits(database).numpy())
    distances, _ = index.search(pack_bits(query).numpy(), 50)
    assert distances.tolist() == hamming_distance(query, database).sort(1).values.tolist()


def test_bad_codes_are_named():
    with pytest.raises(ValueError, match="float32"):
        pack_bits(torch.ones(2, 8))
    with pytest.raises(ValueError, match="8 bits and database codes 16"):
        hamming_distance(random_bits(1, 8), random_bits(1, 16))
    for width in (1, 3):
        with pytest.raises(ValueError, match=r"uint8 \(N, 2\)"):
            unpack_bits(torch.zeros(2, width, dtype=torch.uint8), 9)
    with pytest.raises(ValueError, match=r"torch\.bool of shape \(3, 9\); expected bool \(N, 8\)"):
        check_bits(random_bits(3, 9), 8)
    one, row = torch.zeros(1, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.uint8)
    for pair in ((one, torch.zeros(1, 3, dtype=torch.uint8)), (row, row), (row, one), (one, one.long())):
        with pytest.raises(ValueError, match=r"expected uint8 \(Q, bytes\) and \(N, bytes\) of the same width"):
            packed_hamming_distance(*pair)
