"""The loss of self-supervised product quantization (SPQ): Jang and Cho, ICCV 2021, arXiv 2109.02244."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_FLOOR = 1e-5  # so that a codeword that nobody chose has a finite gradient


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., ICML 2020): each row has to find its partner among all others, by cosine.

    The mean over the 2B rows u_i of -log( exp(cos(u_i, u_i')/τ) / Σ_{j≠i} exp(cos(u_i, u_j)/τ) ), u_i' its partner.

    Args:
        first, second: (B, D); row i of one is the partner of row i of the other.
        temperature: τ, a positive number.

    Raises:
        ValueError: the shapes differ, or the temperature is not positive.

    >>> same = torch.eye(2)
    >>> float(contrastive_loss(same, same, 1.0))  # log(1 + 2 / e): one partner at cosine 1, two others at 0
    0.551444...
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"first {tuple(first.shape)} and second {tuple(second.shape)} must both be (B, D).")
    if temperature <= 0:
        raise ValueError(f"temperature={temperature}: give a positive number.")
    rows = F.normalize(torch.cat([first, second]), dim=1)  # (2B, D)
    logits = rows @ rows.T / temperature  # (2B, 2B)
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = logits.masked_fill(itself, -torch.inf)
    partner = torch.arange(len(rows), device=rows.device).roll(len(first))  # (2B,)
    return F.cross_entropy(logits, partner)


def cross_quantized_contrastive_loss(
    first: Tensor, first_quantized: Tensor, second: Tensor, second_quantized: Tensor, temperature: float
) -> Tensor:
    """The descriptor of each view against what the other view was quantized to, both ways round.

    A descriptor is never compared with its own view's quantized one. As in the published code, and other than in the
    paper's figure, the rows are mixed: descriptors among each other, and quantized ones among each other, are
    negatives too.

    Args:
        first, second: (B, D) descriptors x of the two views of each image.
        first_quantized, second_quantized: (B, D), what they were softly quantized to, z.
        temperature: τ; the paper takes 0.5.
    """
    return contrastive_loss(first, second_quantized, temperature) + contrastive_loss(
        second, first_quantized, temperature
    )


def uneven_use_loss(weights: Tensor) -> Tensor:
    """How unevenly a batch uses the codewords: log K minus the entropy of their mean weights, a mean over codebooks.

    0 where all codewords are used alike, log K where one is used alone. Not in the paper, whose loss has no such term.

    Args:
        weights: (B, M, K), soft or hard; each row sums to 1.

    >>> round(float(uneven_use_loss(torch.eye(4).unsqueeze(1))), 3)  # four images, each with a codeword of its own
    0.0
    """
    used = weights.mean(0)  # (M, K)
    return math.log(used.shape[1]) + (used * (used + LOG_FLOOR).log()).sum(1).mean()
