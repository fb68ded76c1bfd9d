"""Distances between queries and a database, a block of queries at a time."""

from typing import Protocol

import torch
from torch import Tensor

from retrieval_lib.hashing import hamming_distance


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
    """

    def __init__(self, query_bits: Tensor, database_bits: Tensor):
        hamming_distance(query_bits[:1], database_bits[:1])  # refuses what is no pair of codes
        self.query_bits, self.database_bits = query_bits, database_bits
        self.shape = (len(query_bits), len(database_bits))
        self.levels = query_bits.shape[1] + 1

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) int32."""
        return hamming_distance(self.query_bits[start:stop], self.database_bits)


class ADC:
    """Asymmetric distances of product-quantized images: the sum of one table entry for each codebook.

    Args:
        tables: (Q, M, K) distances between the parts of each query and all codewords.
        codes: (N, M) integers, the number of each image's codeword in each codebook.
    """

    levels = None

    def __init__(self, tables: Tensor, codes: Tensor):
        if tables.ndim != 3 or codes.ndim != 2 or tables.shape[1] != codes.shape[1]:
            raise ValueError(
                f"tables {tuple(tables.shape)} and codes {tuple(codes.shape)} do not belong together; "
                "expected (Q, M, K) and (N, M)."
            )
        if len(codes) and int(codes.max()) >= tables.shape[2]:
            raise ValueError(f"A code names codeword {int(codes.max())}, but the tables have {tables.shape[2]}.")
        self.tables, self.codes = tables, codes.long()
        self.shape = (len(tables), len(codes))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N), of the tables' type."""
        total = self.tables.new_zeros(stop - start, self.shape[1])
        for m in range(self.codes.shape[1]):
            total += self.tables[start:stop, m].index_select(1, self.codes[:, m])
        return total


class Euclidean:
    """Squared Euclidean distances of float descriptors.

    Args:
        query: (Q, D).
        database: (N, D).
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
        products = query @ self.database.T
        return ((query**2).sum(1, keepdim=True) - 2 * products + self.squares).clamp_(min=0)


class InnerProduct:
    """Negated inner products: the largest product is the nearest.

    Args:
        query: (Q, D).
        database: (N, D).
    """

    levels = None

    def __init__(self, query: Tensor, database: Tensor):
        _check_descriptors(query, database)
        self.query, self.database = query, database
        self.shape = (len(query), len(database))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) of the descriptors' type."""
        return -(self.query[start:stop] @ self.database.T)


def _check_descriptors(query: Tensor, database: Tensor) -> None:
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise ValueError(
            f"query {tuple(query.shape)} and database {tuple(database.shape)} do not belong together; "
            "expected (Q, D) and (N, D)."
        )


def check_finite(block: Tensor) -> Tensor:
    """The block itself.

    Raises:
        ValueError: a distance is NaN.
    """
    if block.is_floating_point() and torch.isnan(block).any():
        raise ValueError("A distance is NaN; look for NaN in the descriptors or codebooks.")
    return block
