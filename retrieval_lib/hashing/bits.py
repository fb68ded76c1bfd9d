"""Binary codes: the sign that makes them, the bytes that hold them, the distance that compares them."""

import numpy as np
import torch
from torch import Tensor


def sign_bits(values: Tensor) -> Tensor:
    """The bit of each value: True where it is at least 0. Zero counts as +1, here and in the whole library.

    Args:
        values: (..., bits) numbers, none of them NaN.

    Raises:
        ValueError: a value is NaN, which has no sign.

    >>> sign_bits(torch.tensor([-0.5, 0.0, -0.0, 2.0]))
    tensor([False,  True,  True,  True])
    """
    if values.is_floating_point() and values.isnan().any():
        raise ValueError("A value is NaN and has no sign; look for a division by zero before the hashing.")
    return values >= 0


def pack_bits(bits: Tensor) -> Tensor:
    """Eight bits to a byte, the first bit lowest, the last byte filled up with zeros.

    Args:
        bits: (N, bits) bool.

    Returns:
        (N, ceil(bits / 8)) uint8.

    Raises:
        ValueError: the codes are not bool (N, bits).

    >>> pack_bits(torch.tensor([[True, False, False, False, False, False, False, False, True]]))
    tensor([[1, 1]], dtype=torch.uint8)
    """
    check_bits(bits)
    return torch.from_numpy(np.packbits(bits.numpy(), axis=1, bitorder="little"))


def unpack_bits(packed: Tensor, bits: int) -> Tensor:
    """The first `bits` bits of packed codes.

    Args:
        packed: (N, bytes) uint8, as `pack_bits` gives them.
        bits: how many bits a code has.

    Returns:
        (N, bits) bool.

    Raises:
        ValueError: the codes have more or fewer bytes than `bits` needs, or another type.
    """
    width = -(-bits // 8)
    if packed.ndim != 2 or packed.dtype != torch.uint8 or packed.shape[1] != width:
        raise ValueError(
            f"packed codes are {packed.dtype} of shape {tuple(packed.shape)}; {bits} bits need uint8 (N, {width})."
        )
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=1, count=bits, bitorder="little")).bool()


def hamming_distance(query_bits: Tensor, database_bits: Tensor) -> Tensor:
    """In how many bits each query differs from each database code.

    With bits as -1 and +1 the inner product of two codes is `bits - 2 * distance`: one matrix product gives all.

    Args:
        query_bits: (Q, bits) bool.
        database_bits: (N, bits) bool.

    Returns:
        (Q, N) int32.

    Raises:
        ValueError: the codes are no bool tensors of the same length.

    >>> hamming_distance(torch.tensor([[True, True]]), torch.tensor([[True, True], [False, True], [False, False]]))
    tensor([[0, 1, 2]], dtype=torch.int32)
    """
    check_bits(query_bits)
    check_bits(database_bits)
    bits = query_bits.shape[1]
    if bits != database_bits.shape[1]:
        raise ValueError(f"Query codes have {bits} bits and database codes {database_bits.shape[1]}; they must agree.")
    products = (query_bits.float() * 2 - 1) @ (database_bits.float() * 2 - 1).T  # (Q, N), exact integers
    return ((bits - products) * 0.5).to(torch.int32)


def packed_hamming_distance(query: Tensor, database: Tensor) -> Tensor:
    """The same distance from packed codes: exclusive-or, then a count of ones.

    Args:
        query: (Q, bytes) uint8.
        database: (N, bytes) uint8.

    Returns:
        (Q, N) int32.

    Raises:
        ValueError: the codes are no uint8 tensors of two axes and the same width.
    """
    bytes_only = query.dtype == database.dtype == torch.uint8
    if not bytes_only or query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise ValueError(
            f"Packed codes are {query.dtype} {tuple(query.shape)} and {database.dtype} {tuple(database.shape)}; "
            "expected uint8 (Q, bytes) and (N, bytes) of the same width."
        )
    counts = np.zeros((len(query), len(database)), np.int32)
    for byte in range(query.shape[1]):  # one byte at a time keeps the memory at Q x N
        counts += np.bitwise_count(query.numpy()[:, None, byte] ^ database.numpy()[None, :, byte])
    return torch.from_numpy(counts)


def check_bits(codes: Tensor, bits: int | None = None) -> None:
    """Refuse what is no binary code.

    Args:
        codes: (N, bits) bool.
        bits: length of a code; None to take any.

    Raises:
        ValueError: the codes have another shape, type or length.
    """
    if codes.ndim != 2 or codes.dtype != torch.bool or bits not in (None, codes.shape[1]):
        raise ValueError(
            f"codes are {codes.dtype} of shape {tuple(codes.shape)}; expected bool (N, {bits or 'bits'}), as sign_bits "
            "gives them."
        )
