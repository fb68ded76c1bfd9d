"""A fixed part of a data set, for features that would take too long to compute for all of it."""

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet

# EfficientNet-lite0 in float32 on two idle cores: 1,280 images/s at 64 px, 600 at 96, 300 at 128, 130 at 160, 55 at
# 224. Constants below all of these, so that the subset is the same on every machine and a slower one ends in time.
IMAGES_PER_SECOND_AT_96_PIXELS = 400
SPEED_EXPONENT = 2.5  # of the side: more than 2, as larger feature maps leave the processor's cache


def feature_subset(images: ImageSet, seconds: float = 180.0, *, size: int = 96, seed: int = 0) -> Tensor:
    """Which images to compute pretrained features for: all, where that takes at most `seconds`, else a fixed part.

    How many is worked out from a stated speed, never from this machine's: 400 · (96 / size)^2.5 images a second. So
    180 s are 72,000 images at 96 px (all of CIFAR-10) and 8,657 at 224 px. The part is stratified by the set's own
    train and test part and by label (by the part alone where images have several labels), and a smaller one lies
    within a larger one of the same seed.

    Args:
        images: the data set, N images.
        seconds: how long the extraction may take at the stated speed.
        size: the side in pixels that images are resized to.
        seed: of the choice within each stratum.

    Returns:
        (n,) int64 indices in rising order; use `within` to find those of a split.

    Raises:
        ValueError: not even one image can be had in that time.
    """
    count = int(seconds * IMAGES_PER_SECOND_AT_96_PIXELS * (96 / size) ** SPEED_EXPONENT)
    if count < 1:
        raise ValueError(f"seconds={seconds} is too short for a single image of {size} px; give more.")
    total = len(images.images)
    if count >= total:
        return torch.arange(total)
    strata = images.part[:, None]
    if images.labels.ndim == 1:
        strata = torch.stack([images.part, images.labels], 1)  # (N, 2)
    _, stratum, sizes = torch.unique(strata, dim=0, return_inverse=True, return_counts=True)
    shuffled = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    grouped = shuffled[stratum[shuffled].argsort(stable=True)]  # stratum by stratum, shuffled within each
    first = sizes.cumsum(0) - sizes
    rank = torch.arange(total) - first[stratum[grouped]]  # (N,) place of each image within its stratum
    share = (rank + 0.5) / sizes[stratum[grouped]]  # the first n by share are n from all strata in proportion
    return grouped[share.argsort(stable=True)[:count]].sort().values


def within(indices: Tensor, subset: Tensor) -> Tensor:
    """The entries of `indices` that `subset` holds, in the order of `indices`.

    >>> within(torch.tensor([7, 3, 5]), torch.tensor([3, 4, 7]))
    tensor([7, 3])
    """
    return indices[torch.isin(indices, subset)]
