"""Mean and deviation of a data set's channels, and the module that removes them."""

import math
from itertools import cycle, islice

import torch
from torch import Tensor, nn

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # (mean, deviation) of each channel, pixels in [0, 1]

# Over the train part (CIFAR-10, MNIST), or over all faces as `load` gives them. The JPEG copy of CIFAR-10 differs by
# at most 0.002.
STATISTICS: dict[str, Statistics] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "lfw": ((0.5640, 0.4404, 0.3631), (0.2475, 0.2127, 0.2054)),
    "mnist": ((0.1307,), (0.3081,)),
    "orl": ((0.4632,), (0.1941,)),
}


def channel_statistics(images: Tensor) -> Statistics:
    """Mean and deviation of each channel over all pixels, for a data set that `STATISTICS` does not list.

    Args:
        images: (N, C, H, W) uint8: images to train on, never the queries.

    Returns:
        (mean, deviation), each of C floats, on the scale where 255 is 1.

    Raises:
        ValueError: the images are not such a tensor, there is none, or a channel is constant.

    >>> channel_statistics(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1))
    ((0.5,), (0.5,))
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or images.numel() == 0:
        raise ValueError(
            f"images is {images.dtype} of shape {tuple(images.shape)}; expected uint8 pixels (N, C, H, W), N > 0."
        )
    levels = torch.arange(256, dtype=torch.float64) / 255  # a histogram is exact and needs no float copy
    means, deviations = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * levels).sum()
        means.append(mean.item())
        deviations.append((share * (levels - mean).square()).sum().sqrt().item())
    if min(deviations) == 0:
        raise ValueError("A channel has the same value in every pixel, so that it has no deviation to divide by.")
    return tuple(means), tuple(deviations)


class Normalise(nn.Module):
    """`(image − mean) / deviation` for each channel; saved with the backbone that it belongs to.

    Args:
        channels: of the images.
        statistics: mean and deviation of each channel; None leaves the images as they are (as SPQ does).

    Raises:
        ValueError: there are not as many means and deviations as channels, or a deviation is not positive.
    """

    def __init__(self, channels: int, statistics: Statistics | None = None):
        super().__init__()
        mean, deviation = statistics or ((0.0,) * channels, (1.0,) * channels)
        if not len(mean) == len(deviation) == channels:
            raise ValueError(
                f"The statistics have {len(mean)} means and {len(deviation)} deviations; the images have "
                f"{channels} channel(s)."
            )
        if min(deviation) <= 0:
            raise ValueError(f"The deviations are {deviation}; each must be positive.")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))  # (C, 1, 1)
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) between 0 and 1 to the same shape with mean 0 and deviation 1 over the data set."""
        return (images - self.mean) / self.deviation


@torch.no_grad()
def settle_batch_statistics(backbone: nn.Module, images: Tensor, batch_size: int = 256) -> None:
    """Give a network the batch statistics of real images.

    Without them an untrained one is judged with the mean 0 and the variance 1 that batch normalization starts from, which
    fit no image, and a trained one with statistics of the random views that it saw last. A training is not changed by
    it: it normalizes by the statistics of its own batches. What was there before weighs less than a hundredth after it.

    Args:
        backbone: takes images between 0 and 1; it is left in evaluation mode.
        images: (N, C, H, W) uint8, training images as they are; the first ones are taken, and few ones again and again.
            A remainder of less than half a batch is left out: it would weigh as much as a whole one.
        batch_size: how many are taken at once.

    Raises:
        ValueError: there are no images.
    """
    if not len(images):
        raise ValueError("There are no images to take statistics of; give at least one batch of training images.")
    moments = [m.momentum for m in backbone.modules() if isinstance(m, nn.BatchNorm2d) and 0 < (m.momentum or 0) < 1]
    passes = max((math.ceil(math.log(0.01) / math.log(1 - momentum)) for momentum in moments), default=0)
    backbone.train()
    device = next(backbone.parameters()).device
    parts = images.split(batch_size)
    whole = [part for part in parts if 2 * len(part) >= batch_size] or parts
    for part in islice(cycle(whole), passes):
        backbone(part.to(device).float() / 255)
    backbone.eval()
