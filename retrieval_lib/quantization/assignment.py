"""Which codeword a part of a descriptor belongs to, softly: weights that have a gradient, so that codebooks can learn.

A part is compared with all codewords of its codebook by one of three distances. The first two also give soft weights:
squared Euclidean ones as in SPQ (Jang and Cho, ICCV 2021), inner products as in GPQ (Jang and Cho, CVPR 2020).
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

METRICS = ("squared Euclidean", "inner product", "Euclidean")


def part_distances(parts: Tensor, codebooks: Tensor, metric: str = "squared Euclidean") -> Tensor:
    """How far each part is from each codeword of its codebook; smaller is nearer.

    Args:
        parts: (N, M, d).
        codebooks: (M, K, d).
        metric: `squared Euclidean`, `inner product` (negated), or `Euclidean`, which has no gradient at a codeword.

    Returns:
        (N, M, K).

    Raises:
        ValueError: there is no such metric, or the shapes do not belong together.

    >>> part_distances(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
    tensor([[[0., 5.]]])
    """
    if metric not in METRICS:
        raise ValueError(f"There is no metric {metric!r}; choose one of {', '.join(METRICS)}.")
    if parts.ndim != 3 or codebooks.ndim != 3 or parts.shape[1:] != codebooks.shape[::2]:
        raise ValueError(
            f"parts {tuple(parts.shape)} and codebooks {tuple(codebooks.shape)} do not belong together; expected "
            "(N, M, d) and (M, K, d)."
        )
    by_book = parts.transpose(0, 1)  # (M, N, d)
    products = by_book @ codebooks.transpose(1, 2)  # (M, N, K)
    if metric == "inner product":
        distances = -products
    else:
        squares = (by_book**2).sum(2, keepdim=True) + (codebooks**2).sum(2).unsqueeze(1)  # (M, N, K)
        distances = (squares - 2 * products).clamp_(min=0)
    return (distances.sqrt() if metric == "Euclidean" else distances).transpose(0, 1).contiguous()


def soft_assignment(parts: Tensor, codebooks: Tensor, sharpness: float, metric: str = "squared Euclidean") -> Tensor:
    """Weights of all codewords, the nearest the largest: softmax of the negated distances, times the sharpness.

    With inner products of normalised vectors this is GPQ's softmax of -α (1 - ⟨u, e⟩): the constant changes nothing.

    Args:
        parts: (N, M, d).
        codebooks: (M, K, d).
        sharpness: one over the temperature, a positive number; the larger, the nearer to a hard choice. The papers
            take 5 for squared distances (SPQ's τ_q, multiplied) and 20 for inner products (GPQ's α).
        metric: `squared Euclidean` or `inner product`.

    Returns:
        (N, M, K); each row of K numbers sums to 1.

    Raises:
        ValueError: as `part_distances`, or the sharpness is not positive, or the metric is `Euclidean`.

    >>> soft_assignment(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]), 0.5)
    tensor([[[0.8808, 0.1192]]])
    """
    if sharpness <= 0:
        raise ValueError(f"sharpness={sharpness}: give a positive number.")
    if metric == "Euclidean":
        raise ValueError("Soft weights by `Euclidean` have no gradient at a codeword; take `squared Euclidean`.")
    return torch.softmax(-sharpness * part_distances(parts, codebooks, metric), dim=2)


def mixture(weights: Tensor, codebooks: Tensor) -> Tensor:
    """What soft weights stand for, the weighted mean of the codewords: (N, M, K) and (M, K, d) to (N, M, d).

    Raises:
        ValueError: the shapes do not belong together.

    >>> mixture(torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[0.0, 4.0], [4.0, 0.0]]]))
    tensor([[[3., 1.]]])
    """
    if weights.ndim != 3 or weights.shape[1:] != codebooks.shape[:2]:
        raise ValueError(
            f"weights {tuple(weights.shape)} and codebooks {tuple(codebooks.shape)} do not belong together; expected "
            "(N, M, K) and (M, K, d)."
        )
    return (weights.transpose(0, 1) @ codebooks).transpose(0, 1)


def straight_through(weights: Tensor) -> Tensor:
    """The hard choice with the gradient of the soft one (Bengio, Léonard and Courville, arXiv 1308.3432, 2013).

    Args:
        weights: (N, M, K) soft weights.

    Returns:
        (N, M, K), 1 for the largest weight of each row and 0 for the others; its gradient is that of `weights`.

    >>> straight_through(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0., 1.]]])
    """
    hard = one_hot(weights.argmax(2), weights.shape[2]).to(weights.dtype)
    return hard + (weights - weights.detach())


def intra_normalize(parts: Tensor) -> Tensor:
    """Each part divided by its own norm, so that all parts weigh alike: (N, M, d) to (N, M, d); a zero part stays zero.

    >>> intra_normalize(torch.tensor([[[3.0, 4.0], [0.0, 0.5]]]))
    tensor([[[0.6000, 0.8000],
             [0.0000, 1.0000]]])
    """
    return normalize(parts, dim=-1)
