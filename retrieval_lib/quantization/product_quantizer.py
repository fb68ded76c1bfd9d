"""Product quantization: a descriptor is cut into parts, and each part becomes the number of its nearest codeword."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.quantization.assignment import part_distances
from retrieval_lib.quantization.codes import check_codes

DESCRIPTORS_AT_ONCE = 8192  # bounds the memory of the distances to all codewords
ROUNDING = 1e-3  # how far a rotation times its transpose may be from the identity; fitted ones are within 1e-5


@dataclass(frozen=True)
class ProductQuantizer:
    """Codebooks, and what one can do with them (Jégou, Douze and Schmid, TPAMI 2011).

    A code has M numbers from 0 to K - 1, one for each part of a descriptor; it takes M · log2 K bits.

    Attributes:
        codebooks: (M, K, d) float: M codebooks of K codewords of d numbers; descriptors have D = M · d numbers.
        rotation: (D, D) of the same type, with orthonormal columns, multiplied to the right of a descriptor before it is cut
            (OPQ); None for plain product quantization.

    Raises:
        ValueError: the codebooks or the rotation have another shape or type; the codebooks hold NaN or infinity; or the
            rotation times its transpose is not the identity.
    """

    codebooks: Tensor
    rotation: Tensor | None = None

    def __post_init__(self):
        shape = tuple(self.codebooks.shape)
        if self.codebooks.ndim != 3 or not self.codebooks.is_floating_point():
            raise ValueError(f"codebooks are {self.codebooks.dtype} of shape {shape}; expected floats (M, K, d).")
        if not torch.isfinite(self.codebooks).all():
            raise ValueError("The codebooks hold NaN or infinite values; look for them where they are learned.")
        turn = self.rotation
        if turn is not None and (tuple(turn.shape), turn.dtype) != ((self.dimension,) * 2, self.codebooks.dtype):
            raise ValueError(
                f"The rotation is {turn.dtype} of shape {tuple(turn.shape)}; codebooks {shape} need "
                f"{self.codebooks.dtype} of shape ({self.dimension}, {self.dimension})."
            )
        if turn is not None:
            turn = turn.detach().float()
            missed = float((turn @ turn.T - torch.eye(len(turn)).to(turn)).abs().max())
            if not missed <= ROUNDING:  # NaN is none either
                raise ValueError(
                    f"The rotation times its transpose misses the identity by {missed:.2g}: it also stretches or holds "
                    "NaN, and codes are turned back by the transpose. Give a matrix with orthonormal columns."
                )

    @property
    def dimension(self) -> int:
        """D, how many numbers a descriptor has."""
        return self.codebooks.shape[0] * self.codebooks.shape[2]

    @property
    def bits(self) -> int:
        """Length of a code; the number of a codeword takes log2 K bits, rounded up."""
        return self.codebooks.shape[0] * (self.codebooks.shape[1] - 1).bit_length()

    def parts(self, descriptors: Tensor) -> Tensor:
        """Rotated and cut: (N, D) to (N, M, d).

        Raises:
            ValueError: the descriptors have another length or type.
        """
        if descriptors.ndim != 2 or descriptors.shape[1] != self.dimension:
            raise ValueError(
                f"descriptors have shape {tuple(descriptors.shape)}; codebooks {tuple(self.codebooks.shape)} need "
                f"(N, {self.dimension})."
            )
        if descriptors.dtype != self.codebooks.dtype:
            raise ValueError(
                f"descriptors are {descriptors.dtype}; codebooks of {self.codebooks.dtype} need the same: call "
                f".to({self.codebooks.dtype}) on them."
            )
        rotated = descriptors if self.rotation is None else descriptors @ self.rotation
        return rotated.unflatten(1, (self.codebooks.shape[0], self.codebooks.shape[2]))

    def look_up_tables(self, query: Tensor, metric: str = "squared Euclidean") -> Tensor:
        """Distances between the parts of queries and all codewords: (Q, D) to (Q, M, K).

        Their sum over a code compares the query with what the code stands for (ADC). By `squared Euclidean` it is
        their squared distance; by `inner product` their negated inner product. By `Euclidean`, which SPQ's published
        code takes, it is a sum of plain distances: a distance, too, but not the Euclidean one.

        Raises:
            ValueError: there is no such metric, or the queries have another length or type.
        """
        return part_distances(self.parts(query), self.codebooks, metric)

    def encode(self, descriptors: Tensor, metric: str = "squared Euclidean") -> Tensor:
        """The nearest codeword of each part: (N, D) to (N, M) int64; of equally near ones the first.

        Args:
            descriptors: (N, D) float.
            metric: `squared Euclidean`, or `Euclidean`, which names the same codewords; or `inner product`, for codebooks that
                were learned with it.

        Raises:
            ValueError: the descriptors have another length or type, or hold NaN or infinity; or there is no such
                metric.
        """
        if not descriptors.isfinite().all():
            raise ValueError("A descriptor holds NaN or infinity, which is near to no codeword.")
        blocks = descriptors.split(DESCRIPTORS_AT_ONCE)
        return torch.cat([self.look_up_tables(block, metric).argmin(2) for block in blocks])

    def decode(self, codes: Tensor) -> Tensor:
        """What codes stand for, as descriptors: (N, M) to (N, D), rotated back.

        Raises:
            ValueError: the codes have another shape or type, or name a codeword that is not there.
        """
        books, words = self.codebooks.shape[:2]
        check_codes(codes, words, books)
        parts = self.codebooks[torch.arange(books), codes.long()]  # (N, M, d)
        joined = parts.flatten(1)
        return joined if self.rotation is None else joined @ self.rotation.T

    def error(self, descriptors: Tensor) -> float:
        """Quantisation error: the mean squared distance between descriptors (N, D) and what their codes stand for."""
        return float(((descriptors - self.decode(self.encode(descriptors))) ** 2).sum(1).mean())
