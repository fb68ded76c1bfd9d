"""The loss terms of deep hash distillation (DHD): Jang, Gu, Ko, Kang, Cho, ECCV 2022, arXiv 2112.08816."""

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval_lib.methods.targets import labelled


def hash_proxy_loss(codes: Tensor, proxies: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between the labels and the cosine of each relaxed code with each class proxy.

    Args:
        codes: (B, bits) relaxed codes in (-1, 1).
        proxies: (classes, bits), one learnable code a class.
        targets: (B, classes) one-hot or multi-hot labels; they are normalised in a copy.
        temperature: T, a positive number; the paper takes 0.2.

    Raises:
        ValueError: `targets` has another shape, or a row of it names no class.

    >>> same = torch.tensor([[1.0, -1.0]])
    >>> float(hash_proxy_loss(same, torch.cat([same, -same]), torch.tensor([[1.0, 0.0]]), 0.5))  # log(1 + exp(-4))
    0.018149...
    """
    targets = labelled(targets, codes.dtype, len(codes), len(proxies))
    named = targets.sum(1, keepdim=True)  # (B, 1)
    logits = F.normalize(codes, dim=1) @ F.normalize(proxies, dim=1).T / temperature  # (B, classes)
    return -((targets / named) * F.log_softmax(logits, dim=1)).sum(1).mean()


def self_distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cos between the codes of a strong view and of a weak view; the weak view is not moved.

    Args:
        student: (B, bits) relaxed codes of the strongly augmented view.
        teacher: (B, bits) relaxed codes of the weakly augmented view; no gradient flows into it.
    """
    return (1 - F.cosine_similarity(student, teacher.detach(), dim=1)).mean()


def bce_quantization_loss(codes: Tensor, deviation: float = 0.5) -> Tensor:
    """Binary cross-entropy that moves each value to the nearer of -1 and +1.

    Two Gaussian bumps of the given deviation stand at +1 and -1. The target of a value is the bump on its own side
    (zero counts as positive).

    Args:
        codes: (B, bits) relaxed codes in (-1, 1).
        deviation: s, the width of the bumps; the paper takes 0.5.
    """
    positive = (codes.detach() >= 0).to(codes.dtype)  # (B, bits)
    near_plus = torch.exp(-((codes - 1) ** 2) / (2 * deviation**2))
    near_minus = torch.exp(-((codes + 1) ** 2) / (2 * deviation**2))
    return F.binary_cross_entropy(near_plus, positive) + F.binary_cross_entropy(near_minus, 1 - positive)
