"""The loss terms of generalized product quantization (GPQ): Jang and Cho, CVPR 2020, arXiv 2002.11281."""

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval_lib.methods.targets import labelled

LOG_FLOOR = 1e-5  # added to a probability before its logarithm, as published


def n_pair_pq_loss(parts: Tensor, quantized: Tensor, targets: Tensor) -> Tensor:
    """Each descriptor has to find, among the batch's quantized ones, those that share a label with it.

    Cross-entropy between the row-normalised number of shared labels and the softmax of Σ_m ⟨x̂_im, q_jm⟩. An image's own
    quantized descriptor counts, and is its target where no other shares a label.

    Args:
        parts: (B, M, d) intra-normalised descriptors x̂.
        quantized: (B, M, d), what they were softly quantized to, q.
        targets: (B, classes) one-hot or multi-hot.

    Raises:
        ValueError: shapes do not belong together, or a row of `targets` names no class.
    """
    if parts.shape != quantized.shape:
        raise ValueError(f"parts {tuple(parts.shape)} and quantized {tuple(quantized.shape)} must both be (B, M, d).")
    targets = labelled(targets, parts.dtype, len(parts))
    shared = targets @ targets.T  # (B, B)
    logits = parts.flatten(1) @ quantized.flatten(1).T  # (B, B)
    return F.cross_entropy(logits, shared / shared.sum(1, keepdim=True))


def prototype_logits(parts: Tensor, prototypes: Tensor, scale: float) -> Tensor:
    """β²/M Σ_m ⟨x̂_im, p̂_cm⟩: how much each descriptor is like each class.

    Args:
        parts: (B, M, d) intra-normalised descriptors.
        prototypes: (M, classes, d) intra-normalised sub-prototypes.
        scale: β; the paper takes 4.

    Returns:
        (B, classes), between -β² and β².
    """
    return torch.einsum("bmd,mcd->bc", parts, prototypes) * (scale**2 / parts.shape[1])


def classification_loss(parts: Tensor, prototypes: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Cross-entropy of the cosine classifier.

    Args:
        parts, prototypes, scale: as `prototype_logits`.
        targets: (B, classes) one-hot or multi-hot; they are normalised in a copy.

    Raises:
        ValueError: shapes do not belong together, or a row of `targets` names no class.
    """
    targets = labelled(targets, parts.dtype, len(parts), prototypes.shape[1])
    return F.cross_entropy(prototype_logits(parts, prototypes, scale), targets / targets.sum(1, keepdim=True))


def negative_entropy(parts: Tensor, prototypes: Tensor, scale: float) -> Tensor:
    """L_SEM: the mean over images of Σ_c p_c log(p_c + 1e-5), p the cosine classifier's probabilities.

    Minimised, it makes the probabilities even. With `reverse_gradient` before the parts were normalised, the features
    do the opposite and gather around prototypes (subspace entropy mini-max).

    Args:
        parts: (B, M, d) intra-normalised descriptors of unlabelled images.
        prototypes, scale: as `prototype_logits`.
    """
    probabilities = prototype_logits(parts, prototypes, scale).softmax(1)  # (B, classes)
    return (probabilities * (probabilities + LOG_FLOOR).log()).sum(1).mean()


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -gradient


def reverse_gradient(values: Tensor) -> Tensor:
    """The values as they are; on the way back their gradient changes its sign (Ganin and Lempitsky, ICML 2015)."""
    return _Reverse.apply(values)
