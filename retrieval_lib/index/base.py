"""What every index offers."""

from typing import Protocol

from torch import Tensor


class Index(Protocol):
    """Codes that can be searched.

    Attributes:
        bits: length of a code.
        metric: the distance that it searches by.
        faiss_index: the faiss index behind it.
    """

    bits: int
    metric: str
    faiss_index: object

    def __len__(self) -> int:
        """How many codes it holds."""
        ...

    def add(self, codes: Tensor) -> None:
        """Append the codes of images; an image's id is its place in the order of adding."""
        ...

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Distances (Q, k), rising, and ids (Q, k) int64 of the k nearest codes of each query.

        The order of tied codes, and which of those tied at the k-th place are given, is left open.
        """
        ...


def check_k(k: int, count: int) -> None:
    """Refuse a k that the index cannot fill.

    Raises:
        ValueError: k is no number from 1 to the number of codes.
    """
    if not 1 <= k <= count:
        raise ValueError(f"k={k}: the index holds {count:,} codes; ask for 1 to that many.")
