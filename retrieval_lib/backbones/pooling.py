"""From a feature map to a descriptor: four ways to pool, and what each of them forgets."""

import torch
from torch import Tensor
from torch.nn import functional as F


def _at_least_float32(features: Tensor) -> Tensor:
    return features.to(torch.promote_types(features.dtype, torch.float32))


def average_pool(features: Tensor) -> Tensor:
    """The mean of each channel: every position counts the same.

    Args:
        features: (B, C, h, w).

    Returns:
        (B, C), float32 at least.

    >>> average_pool(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[2.]])
    """
    return _at_least_float32(features).mean((2, 3))


def max_pool(features: Tensor, cells: int = 1) -> Tensor:
    """MAC, the maximum activation of each channel: only the strongest answer counts.

    Source: Tolias, Sicre, Jégou. Particular object retrieval with integral max-pooling of CNN activations. ICLR 2016.
    A grid of cells keeps apart what lies in different places (He et al., spatial pyramid pooling, ECCV 2014).

    Args:
        features: (B, C, h, w).
        cells: rows, and columns, of a grid over the map; each cell has its own maximum.

    Returns:
        (B, C · cells · cells), float32 at least; a channel's cells lie side by side.

    >>> max_pool(torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), cells=2)
    tensor([[1., 3., 2., 0.]])
    """
    features = _at_least_float32(features)
    return features.amax((2, 3)) if cells == 1 else F.adaptive_max_pool2d(features, cells).flatten(1)


def gem_pool(features: Tensor, power: float | Tensor = 3.0, smallest: float = 1e-6) -> Tensor:
    """GeM, the generalised mean `(mean_p f_p^power)^(1/power)`: the average at 1, towards the maximum as it grows.

    Source: Radenović, Tolias, Chum. Fine-tuning CNN image retrieval with no human annotation. TPAMI 2019.

    Args:
        features: (B, C, h, w), not negative (after a ReLU); smaller values count as `smallest`, where the power
            still has a gradient.
        power: a number, or a tensor that is learned.

    Returns:
        (B, C), float32 at least.
    """
    return _at_least_float32(features).clamp(min=smallest).pow(power).mean((2, 3)).pow(1 / power)


def regions(height: int, width: int, levels: int = 3) -> list[tuple[int, int, int]]:
    """R-MAC's square windows: at level l their side is 2·min(h, w)/(l + 1), evenly spread over the map.

    The longer axis gets as many more windows as bring neighbours' overlap nearest to 40 %.

    Args:
        height, width: of the feature map.
        levels: how many sizes of window; a level whose side falls under one position is left out, and so are
            windows that coincide.

    Returns:
        (top, left, side) of each window.

    >>> regions(3, 3, levels=2)
    [(0, 0, 3), (0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]
    """
    short, long = min(height, width), max(height, width)
    extra = 0
    if long > short:  # n windows of side `short` on the longer axis overlap by 1 − (long − short)/((n − 1)·short)
        extra = min(range(1, 7), key=lambda n: abs(1 - (long - short) / (n * short) - 0.4))
    windows = []
    for level in range(1, levels + 1):
        side = 2 * short // (level + 1)
        if side < 1:
            break
        down, across = level + extra * (height > width), level + extra * (width > height)
        tops = [i * (height - side) // max(1, down - 1) for i in range(down)]
        lefts = [i * (width - side) // max(1, across - 1) for i in range(across)]
        windows += [(top, left, side) for top in tops for left in lefts]
    return list(dict.fromkeys(windows))  # on a small map windows coincide; each counts once


def regional_pool(features: Tensor, levels: int = 3) -> Tensor:
    """R-MAC: the maximum over each region, each brought to length one, and their sum brought to length one.

    An object that fills only part of an image is then not drowned by the rest. (The paper whitens each region's
    vector by a PCA learned on other images; that step is left out.)

    Source: Tolias, Sicre, Jégou, ICLR 2016, section 3.

    Args:
        features: (B, C, h, w).
        levels: how many sizes of window (see `regions`).

    Returns:
        (B, C) of length one, float32 at least.
    """
    features = _at_least_float32(features)
    total = features.new_zeros(features.shape[:2])  # (B, C)
    for top, left, side in regions(features.shape[2], features.shape[3], levels):
        total = total + F.normalize(features[:, :, top : top + side, left : left + side].amax((2, 3)), dim=1)
    return F.normalize(total, dim=1)
