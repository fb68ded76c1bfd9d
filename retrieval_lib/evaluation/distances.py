"""Distances between queries and a database, a block of queries at a time."""

from typing import Protocol

import torch
from torch import Tensor

from retrieval_lib.hashing import hamming_distance
from retrieval_lib.quantization import check_codes

CODES_AT_ONCE = 4096  # what is made of them on the way stays in the processor's cache


class Distances(Protocol):
    """What can be judged: distances (Q, N), of which any rows can be had.

    `levels` is the number of different distances, 0 to levels - 1, where they are small integers; else None.
    """

    shape: tuple[int, int]
    levels: int | None

    def block(self, start: int, stop: int) -> Tensor:
        """The distances (stop - start, N) of some queries; smaller is nearer."""
        ...


class Hamming:
    """Hamming distances of binary codes.

    Args:
        query_bits: (Q, bits) bool.
        database_bits: (N, bits) bool.

    Raises:
        ValueError: a tensor is not bool (n, bits), or the lengths differ.

    >>> Hamming(torch.tensor([[True, True]]), torch.tensor([[True, False], [True, True]])).block(0, 1)
    tensor([[1, 0]], dtype=torch.int32)
    """

    def __init__(self, query_bits: Tensor, database_bits: Tensor):
        hamming_distance(query_bits[:1], database_bits[:1])  # refuses what is no pair of codes
        self.query_bits, self.database_bits = query_bits, database_bits
        self.shape = (len(query_bits), len(database_bits))
        self.levels = query_bits.shape[1] + 1

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) int32."""
        query = self.query_bits[start:stop]
        distances = torch.empty(len(query), self.shape[1], dtype=torch.int32)
        for first in range(0, self.shape[1], CODES_AT_ONCE):
            part = slice(first, first + CODES_AT_ONCE)
            distances[:, part] = hamming_distance(query, self.database_bits[part])
        return distances


class ADC:
    """Asymmetric distances of product-quantized images: the sum of one table entry for each codebook.

    Args:
        tables: (Q, M, K) distances between the parts of each query and all codewords.
        codes: (N, M) integers, the number of each image's codeword in each codebook.

    Raises:
        ValueError: the shapes do not belong together, or a code is no codeword's number.

    >>> ADC(torch.tensor([[[0.0, 1.0], [0.5, 2.0]]]), torch.tensor([[0, 0], [1, 1]])).block(0, 1)
    tensor([[0.5000, 3.0000]])
    """

    levels = None

    def __init__(self, tables: Tensor, codes: Tensor):
        if tables.ndim != 3:
            raise ValueError(f"tables have shape {tuple(tables.shape)}; expected (Q, M, K).")
        check_codes(codes, tables.shape[2], tables.shape[1])
        self.tables, self.codes = tables, codes
        self.shape = (len(tables), len(codes))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N), of the tables' type; equal codes are at exactly equal distances."""
        total = self.tables.new_zeros(stop - start, self.shape[1])
        for m in range(self.codes.shape[1]):
            total += self.tables[start:stop, m].index_select(1, self.codes[:, m].int())
        return total


class Euclidean:
    """Squared Euclidean distances of float descriptors.

    Args:
        query: (Q, D).
        database: (N, D).

    Raises:
        ValueError: the shapes do not belong together, or the types are no floats of one kind.

    >>> Euclidean(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).block(0, 1)
    tensor([[25.]])
    """

    levels = None

    def __init__(self, query: Tensor, database: Tensor):
        _check_descriptors(query, database)
        self.query, self.database = query, database
        self.squares = (database**2).sum(1)  # (N,)
        self.shape = (len(query), len(database))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) of the descriptors' type, at least 0."""
        query = self.query[start:stop]
        distances = torch.addmm(self.squares, query, self.database.T, alpha=-2)
        return distances.add_((query**2).sum(1, keepdim=True)).clamp_(min=0)


class InnerProduct:
    """Negated inner products: the largest product is the nearest.

    Args:
        query: (Q, D).
        database: (N, D).

    Raises:
        ValueError: the shapes do not belong together, or the types are no floats of one kind.

    >>> InnerProduct(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [1.0, 0.0]])).block(0, 1)
    tensor([[-11.,  -1.]])
    """

    levels = None

    def __init__(self, query: Tensor, database: Tensor):
        _check_descriptors(query, database)
        self.query, self.database = query, database
        self.shape = (len(query), len(database))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) of the descriptors' type."""
        return (self.query[start:stop] @ self.database.T).neg_()


def _check_descriptors(query: Tensor, database: Tensor) -> None:
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise ValueError(
            f"query {tuple(query.shape)} and database {tuple(database.shape)} do not belong together; "
            "expected (Q, D) and (N, D)."
        )
    if not query.is_floating_point() or query.dtype != database.dtype:
        raise ValueError(f"query is {query.dtype} and database {database.dtype}; expected floats of one kind.")


def check_finite(block: Tensor) -> Tensor:
    """The block itself.

    Raises:
        ValueError: a distance is NaN.
    """
    if block.is_floating_point() and torch.isnan(block).any():
        raise ValueError("A distance is NaN; look for NaN in the descriptors or codebooks.")
    return block
