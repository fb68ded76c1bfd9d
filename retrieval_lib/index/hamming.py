"""Exact search by Hamming distance, over faiss."""

import faiss
import torch
from torch import Tensor

from retrieval_lib.hashing import check_bits, pack_bits
from retrieval_lib.index.base import check_k


class HammingIndex:
    """Binary codes, compared with every query one by one.

    faiss keeps whole bytes: a length that is no multiple of eight is filled up with zeros, which changes no distance.

    Args:
        bits: length of a code.

    Raises:
        ValueError: fewer than one bit.
    """

    metric = "Hamming"

    def __init__(self, bits: int):
        if bits < 1:
            raise ValueError(f"bits={bits}: give at least 1.")
        self.bits = bits
        self.faiss_index = faiss.IndexBinaryFlat(8 * -(-bits // 8))

    def __len__(self) -> int:
        return self.faiss_index.ntotal

    def add(self, codes: Tensor) -> None:
        """Append (n, bits) bool codes.

        Raises:
            ValueError: the codes have another type or length.
        """
        self.faiss_index.add(self._packed(codes))

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Distances (Q, k) int32, rising, and ids (Q, k) int64.

        Args:
            queries: (Q, bits) bool.
            k: from 1 to the number of codes.

        Raises:
            ValueError: the queries have another type or length, or the index holds fewer than k codes.
        """
        check_k(k, len(self))
        distances, ids = self.faiss_index.search(self._packed(queries), k)
        return torch.from_numpy(distances), torch.from_numpy(ids)

    def _packed(self, codes: Tensor):
        check_bits(codes, self.bits)
        return pack_bits(codes).numpy()
