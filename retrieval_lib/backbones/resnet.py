"""Residual networks for small images: a small fast one, and the ResNet-18 of the CIFAR papers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval_lib.backbones.base import Backbone, draw_convolutions
from retrieval_lib.backbones.normalisation import Statistics


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around them: `relu(x + f(x))` (He et al., CVPR 2016, figure 2).

    Args:
        inputs, outputs: channels.
        stride: of the first convolution; where shape or channels change, the shortcut is a 1×1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(Backbone):
    """A 3×3 stem, then stages of residual blocks; every stage but the first halves the size.

    Args:
        widths: channels of each stage; the last is the descriptor's dimension.
        blocks: residual blocks of each stage.
        stem_stride: 2 halves the image before the first stage.
        channels: 1 or 3.
        seed: of the initial weights (He's normal initialisation); the global random state is left alone.
        statistics, autocast: see `Backbone`.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        stem_stride: int,
        channels: int,
        seed: int,
        statistics: Statistics | None,
        autocast: torch.dtype | None,
    ):
        super().__init__(channels, widths[-1], statistics, autocast)
        with torch.random.fork_rng(devices=[]):  # torch's own initialisation draws numbers, replaced below
            self.stem = nn.Sequential(
                nn.Conv2d(channels, widths[0], 3, stem_stride, padding=1, bias=False),
                nn.BatchNorm2d(widths[0]),
                nn.ReLU(),
            )
            stages, inputs = [], widths[0]
            for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
                for block in range(count):
                    stages.append(ResidualBlock(inputs, width, stride=2 if stage > 0 and block == 0 else 1))
                    inputs = width
            self.stages = nn.Sequential(*stages)
        draw_convolutions(self, seed)
        self.to(memory_format=torch.channels_last)

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to the last feature map (B, D, h, w)."""
        return self.stages(self.stem(images))


class SmallResNet(ResNet):
    """A small residual network: three stages of one block, 0.31 M parameters and D = 128 at the default width.

    It works at half resolution from its stem on, which costs a little accuracy and buys speed: see
    `benchmarks/backbones.py`.

    Args:
        channels: 1 or 3.
        width: channels of the first stage; the others have twice and four times as many, D = 4 · width.
        seed, statistics, autocast: see `ResNet`.

    Raises:
        ValueError: width is not positive.

    >>> SmallResNet(channels=1, width=16)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 64])
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        seed: int = 0,
        statistics: Statistics | None = None,
        autocast: torch.dtype | None = None,
    ):
        if width < 1:
            raise ValueError(f"width={width}: give the channels of the first stage, 1 or more.")
        super().__init__((width, 2 * width, 4 * width), (1, 1, 1), 2, channels, seed, statistics, autocast)


class CifarResNet18(ResNet):
    """ResNet-18 as used for 32×32 images: 3×3 stem, no max-pool, 64/128/256/512; 11.2 M parameters, D = 512.

    Source: He et al., CVPR 2016, with the small stem that SPQ (ICCV 2021) and others use on CIFAR-10.

    Args:
        channels, seed, statistics, autocast: see `ResNet`.
    """

    def __init__(
        self,
        channels: int = 3,
        seed: int = 0,
        statistics: Statistics | None = None,
        autocast: torch.dtype | None = None,
    ):
        super().__init__((64, 128, 256, 512), (2, 2, 2, 2), 1, channels, seed, statistics, autocast)
