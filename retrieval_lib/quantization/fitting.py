"""Codebooks fitted to descriptors by k-means: PQ and OPQ, both trained by faiss."""

import faiss
import numpy as np
import torch
from torch import Tensor

from retrieval_lib.quantization.product_quantizer import ProductQuantizer

POINTS_A_CODEWORD = 2048  # more points than this make k-means slower and not better


def fit_pq(descriptors: Tensor, codebooks: int, codewords: int, seed: int = 0) -> ProductQuantizer:
    """One k-means for each part of the descriptors (Jégou, Douze and Schmid, TPAMI 2011), by faiss.

    Args:
        descriptors: (N, D) float32; D must be a multiple of `codebooks`.
        codebooks: M, into how many parts a descriptor is cut.
        codewords: K, a power of two from 2 to 65,536, at most N.
        seed: of the k-means.

    Raises:
        ValueError: the numbers do not fit together, the seed is negative, or the descriptors have another type or hold
            NaN.
    """
    values = _checked(descriptors, codebooks, codewords)
    quantizer = faiss.ProductQuantizer(values.shape[1], codebooks, codewords.bit_length() - 1)
    _set_clustering(quantizer.cp, seed)
    quantizer.train(values)
    return ProductQuantizer(_centroids(quantizer))


def fit_opq(
    descriptors: Tensor, codebooks: int, codewords: int, seed: int = 0, iterations: int = 20
) -> ProductQuantizer:
    """PQ after a learned rotation (Ge, He, Ke and Sun, CVPR 2013: the non-parametric one), by faiss.

    By turns: codebooks and codes for a fixed rotation, then the rotation that brings the descriptors nearest to what
    their codes stand for (orthogonal Procrustes). faiss begins from a rotation of its own that never changes; the
    descriptors are turned at random before, so that the seed counts.

    Args:
        descriptors, codebooks, codewords, seed: as `fit_pq`.
        iterations: turns.

    Raises:
        ValueError: as `fit_pq`, or fewer than one iteration.
    """
    values = _checked(descriptors, codebooks, codewords)
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: give at least 1.")
    dimension = values.shape[1]
    generator = torch.Generator().manual_seed(seed)
    start = torch.linalg.qr(torch.randn(dimension, dimension, generator=generator)).Q  # (D, D)
    turned = np.ascontiguousarray(values @ start.numpy())
    learned = faiss.OPQMatrix(dimension, codebooks)
    learned.niter = iterations
    quantizer = faiss.ProductQuantizer(dimension, codebooks, codewords.bit_length() - 1)
    _set_clustering(quantizer.cp, seed)
    learned.pq = quantizer
    learned.train(turned)
    matrix = torch.from_numpy(faiss.vector_to_array(learned.A).reshape(dimension, dimension).copy())  # y = A x
    rotation = start @ matrix.T
    final = faiss.ProductQuantizer(dimension, codebooks, codewords.bit_length() - 1)
    _set_clustering(final.cp, seed)
    final.train(np.ascontiguousarray(values @ rotation.numpy()))
    return ProductQuantizer(_centroids(final), rotation)


def _checked(descriptors: Tensor, codebooks: int, codewords: int) -> np.ndarray:
    if descriptors.ndim != 2 or descriptors.dtype != torch.float32:
        raise ValueError(
            f"descriptors are {descriptors.dtype} of shape {tuple(descriptors.shape)}; expected float32 (N, D); call "
            ".float() on another type."
        )
    count, dimension = descriptors.shape
    if codebooks < 1 or dimension % codebooks:
        raise ValueError(f"codebooks={codebooks}: descriptors of {dimension} numbers cannot be cut into equal parts.")
    if not 2 <= codewords <= 65_536 or codewords & (codewords - 1):
        raise ValueError(f"codewords={codewords}: give a power of two from 2 to 65,536.")
    if count < codewords:
        raise ValueError(f"{count} descriptors are too few for {codewords} codewords; give at least as many.")
    if not torch.isfinite(descriptors).all():
        raise ValueError("descriptors hold NaN or infinite values; look for them where the descriptors are made.")
    return np.ascontiguousarray(descriptors.detach().numpy())


def _set_clustering(settings, seed: int) -> None:
    if seed < 0:
        raise ValueError(f"seed={seed}: give at least 0; below it faiss draws by the clock.")
    settings.seed = seed + 1  # as the first records had it; any number from 0 on would do
    settings.max_points_per_centroid = POINTS_A_CODEWORD
    settings.min_points_per_centroid = 1  # how few there may be is checked above; faiss would warn on stderr


def _centroids(quantizer) -> Tensor:
    """(M, K, d)"""
    flat = faiss.vector_to_array(quantizer.centroids).copy()
    return torch.from_numpy(flat.reshape(quantizer.M, quantizer.ksub, quantizer.dsub))
