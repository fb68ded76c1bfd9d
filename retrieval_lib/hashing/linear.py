"""Hashing by the side of hyperplanes: random ones (LSH), principal ones (PCA hashing), rotated ones (ITQ)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.hashing.bits import sign_bits


@dataclass(frozen=True)
class LinearHash:
    """A bit for each direction: on which side of the plane through the mean a descriptor lies.

    Attributes:
        mean: (D,) subtracted first.
        directions: (D, bits).
    """

    mean: Tensor
    directions: Tensor

    def project(self, descriptors: Tensor) -> Tensor:
        """Signed values before the sign: (N, D) to (N, bits).

        Raises:
            ValueError: the descriptors have another length, or a type of more digits than the hash has.
        """
        if descriptors.ndim != 2 or descriptors.shape[1] != len(self.mean):
            raise ValueError(
                f"descriptors has shape {tuple(descriptors.shape)}; this hash was fitted on (N, {len(self.mean)})."
            )
        if torch.promote_types(descriptors.dtype, self.mean.dtype) != self.directions.dtype:
            raise ValueError(
                f"descriptors is {descriptors.dtype}; this hash is {self.directions.dtype}: call .float() on them."
            )
        return (descriptors - self.mean) @ self.directions

    def encode(self, descriptors: Tensor) -> Tensor:
        """(N, D) float descriptors to (N, bits) bool codes.

        Raises:
            ValueError: as `project`, or the descriptors hold NaN.
        """
        return sign_bits(self.project(descriptors))


def fit_lsh(descriptors: Tensor, bits: int, seed: int = 0) -> LinearHash:
    """Random hyperplanes (Charikar, STOC 2002) through the mean of the descriptors.

    The directions do not depend on the data, only the mean does. The first b directions of a longer code are those of
    a code of b bits under the same seed.

    Args:
        descriptors: (N, D) float32, of which the mean is taken.
        bits: length of the code.
        seed: of the directions.

    Raises:
        ValueError: fewer than two descriptors, another type, NaN in them, or fewer than one bit.
    """
    _check(descriptors, bits, most=None)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(bits, descriptors.shape[1], generator=generator)  # (bits, D)
    return LinearHash(descriptors.mean(0), directions.T.contiguous())


def fit_pca(descriptors: Tensor, bits: int) -> LinearHash:
    """The leading principal directions of the descriptors; each is turned so that its largest entry is positive.

    Args:
        descriptors: (N, D) float32, at least 2.
        bits: length of the code, at most D.

    Raises:
        ValueError: more bits than dimensions, another type, NaN, or too few descriptors.
    """
    _check(descriptors, bits, most=descriptors.shape[-1])
    mean = descriptors.mean(0)
    centred = (descriptors - mean).double()
    covariance = centred.T @ centred / len(centred)  # (D, D)
    _, vectors = torch.linalg.eigh(covariance)  # eigenvalues rise
    directions = vectors[:, -bits:].flip(1)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, bits)
    return LinearHash(mean, (directions * largest.sign()).float())


@dataclass(frozen=True)
class ITQ(LinearHash):
    """A PCA hash with a learned rotation, and the quantisation error of each turn of its learning."""

    errors: tuple[float, ...] = ()


def fit_itq(descriptors: Tensor, bits: int, seed: int = 0, iterations: int = 50) -> ITQ:
    """Iterative quantization (Gong and Lazebnik, CVPR 2011): the rotation that brings PCA's values near ±1.

    By turns: B = sign(V R), then R from the singular value decomposition of Bᵀ V (orthogonal Procrustes).

    Args:
        descriptors: (N, D) float32.
        bits: length of the code, at most D.
        seed: of the random rotation that it starts from.
        iterations: turns; the paper takes 50.

    Raises:
        ValueError: as `fit_pca`, or fewer than one iteration.
    """
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: give at least 1.")
    start = fit_pca(descriptors, bits)
    values = start.project(descriptors)  # V: (N, bits)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(bits, bits, generator=generator)).Q  # R: (bits, bits)
    errors = []
    for _ in range(iterations):
        rotated = values @ rotation
        codes = torch.where(rotated >= 0, 1.0, -1.0)  # B: (N, bits)
        errors.append(float(((codes - rotated) ** 2).mean()))
        left, _, right = torch.linalg.svd(codes.T @ values)
        rotation = right.T @ left.T
    return ITQ(start.mean, start.directions @ rotation, tuple(errors))


def _check(descriptors: Tensor, bits: int, most: int | None) -> None:
    if descriptors.ndim != 2 or len(descriptors) < 2 or descriptors.dtype != torch.float32:
        raise ValueError(
            f"descriptors is {descriptors.dtype} of shape {tuple(descriptors.shape)}; expected float32 (N, D) with at "
            "least 2 rows; call .float() on another type."
        )
    if bits < 1 or (most is not None and bits > most):
        limit = f"from 1 to the descriptors' {most} dimensions" if most else "at least 1"
        raise ValueError(f"bits={bits}: give {limit}.")
    if not torch.isfinite(descriptors).all():
        raise ValueError("descriptors hold NaN or infinite values; look for them where the descriptors are made.")
