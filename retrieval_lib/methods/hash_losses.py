"""Losses of other supervised hashing methods, which self-distillation can be added to: CSQ, HashNet, DPN."""

import torch
import torch.nn.functional as F
from scipy.linalg import hadamard
from torch import Tensor

from retrieval_lib.methods.targets import labelled

MARGIN = 1.0  # of DPN


def class_centres(classes: int, bits: int, seed: int = 0) -> Tensor:
    """A code for each class, far from the others: (classes, bits) of -1 and +1.

    Rows of a Hadamard matrix and then their negatives, which differ in half of the bits or in all (CSQ, Yuan et al.,
    CVPR 2020). Where `bits` is no power of two, or there are more classes than twice the bits, each value is drawn at
    random.

    Args:
        classes, bits: how many, how long.
        seed: of the random ones.

    Raises:
        ValueError: there are no classes or no bits.

    >>> class_centres(3, 4).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]
    """
    if classes < 1 or bits < 1:
        raise ValueError(f"classes={classes} and bits={bits}: both must be at least 1.")
    if bits & (bits - 1) == 0 and classes <= 2 * bits:
        rows = torch.from_numpy(hadamard(bits).copy()).float()
        return torch.cat([rows, -rows])[:classes]
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (classes, bits), generator=generator).float() * 2 - 1


def target_codes(centres: Tensor, targets: Tensor) -> Tensor:
    """The code that each image should get: its class's centre, or the sign of the sum of its classes' centres.

    Args:
        centres: (classes, bits) of -1 and +1.
        targets: (B, classes), one-hot or multi-hot; a sum of 0 counts as +1.

    Raises:
        ValueError: `targets` has another shape, or a row of it names no class.
    """
    summed = labelled(targets, centres.dtype, classes=len(centres)) @ centres  # (B, bits)
    return torch.where(summed >= 0, 1.0, -1.0).to(centres.dtype)


def csq_loss(codes: Tensor, target: Tensor, quantization: float = 1e-4) -> Tensor:
    """Central similarity quantization (Yuan et al., CVPR 2020): each bit a binary classification.

    Args:
        codes: (B, bits) relaxed codes in (-1, 1): tanh was applied once, in the head.
        target: (B, bits) of -1 and +1.
        quantization: weight of the mean squared distance of the absolute values from 1.
    """
    probability = ((codes + 1) / 2).clamp(1e-6, 1 - 1e-6)
    centre = F.binary_cross_entropy(probability, (target + 1) / 2)
    return centre + quantization * ((codes.abs() - 1) ** 2).mean()


def hashnet_loss(codes: Tensor, targets: Tensor, scale: float | None = None) -> Tensor:
    """HashNet (Cao et al., ICCV 2017): weighted likelihood of which pairs of a batch share a label.

    Rare pairs weigh more: similar ones by (all / similar), dissimilar ones by (all / dissimilar). The weights are
    brought to a mean of 1, and a pair of an image with itself is left out.

    Args:
        codes: (B, bits) relaxed codes.
        targets: (B, classes), one-hot or multi-hot.
        scale: of the inner products; None for 10 / bits.

    Raises:
        ValueError: the batch has fewer than two images, `targets` has another shape, or a row of it names no class.
    """
    if len(codes) < 2:
        raise ValueError("HashNet compares the images of a batch with each other; give at least two.")
    targets = labelled(targets, codes.dtype, len(codes))
    alpha = 10 / codes.shape[1] if scale is None else scale
    products = alpha * codes @ codes.T  # (B, B)
    similar = (targets @ targets.T > 0).to(targets.dtype)  # (B, B)
    pairs = 1 - torch.eye(len(codes), device=codes.device)  # (B, B)
    share = ((similar * pairs).sum() / pairs.sum()).clamp(1e-3, 1 - 1e-3)
    weights = pairs * torch.where(similar > 0, 1 / share, 1 / (1 - share))
    return (weights * (F.softplus(products) - similar * products)).sum() / weights.sum()


def dpn_loss(codes: Tensor, target: Tensor) -> Tensor:
    """Deep polarized network (Fan et al., IJCAI 2020): each value beyond the margin on its target's side.

    Args:
        codes: (B, bits) real values, without tanh.
        target: (B, bits) of -1 and +1.
    """
    return (MARGIN - codes * target).clamp(min=0).mean()
