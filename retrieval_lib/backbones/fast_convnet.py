"""A small wide network that learns small images in few epochs: a whitened first layer, three groups of two layers.

After the fastest CIFAR-10 trainers (Jordan, arXiv 2404.00498, and those it builds on): the first layer is computed from
the images and not learned, pooling comes early, there are no shortcuts, and layers begin as the identity.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval_lib.backbones.base import Backbone
from retrieval_lib.backbones.normalisation import Statistics
from retrieval_lib.backbones.pooling import max_pool

PATCH = 2  # pixels: side of the first layer's kernels
SMALLEST_VARIANCE = 5e-4  # added to the patches' variances, so that noise is not blown up


class ConvGroup(nn.Module):
    """Convolution, pooling to half the size, convolution; each followed by batch normalisation and GELU.

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, momentum=0.4)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, momentum=0.4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h // 2, w // 2)."""
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class FastConvNet(Backbone):
    """Whitened patches, then three groups; at the default widths 1.97 M parameters and D = 256.

    A descriptor says what is in an image, not where: it keeps the maximum of each channel. Where images are aligned, as
    faces are, `cells` keeps the maximum of each channel in each cell of a grid.

    Call `whiten` with training images before the training; until then the first layer's weights are random.

    Args:
        channels: 1 or 3.
        widths: channels of the three groups.
        stride: of the first layer; 2 halves a larger image, and its patches still hold every pixel.
        cells: rows, and columns, of the grid; D = cells * cells * widths[2].
        seed: of the initial weights.
        statistics, autocast: see `Backbone`.

    >>> FastConvNet(channels=1, widths=(8, 16, 16))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 16])
    """

    geometry = ("stride", "cells")

    def __init__(
        self,
        channels: int = 3,
        widths: tuple[int, int, int] = (64, 256, 256),
        stride: int = 1,
        cells: int = 1,
        seed: int = 0,
        statistics: Statistics | None = None,
        autocast: torch.dtype | None = None,
    ):
        super().__init__(channels, cells * cells * widths[-1], statistics, autocast)
        self.stride, self.cells = stride, cells
        patches = 2 * channels * PATCH**2  # each direction and its opposite: GELU passes one of the two
        with torch.random.fork_rng(devices=[]):
            self.first = nn.Conv2d(channels, patches, PATCH, stride)
            groups = [ConvGroup(i, o) for i, o in zip((patches, *widths[:-1]), widths, strict=True)]
            self.groups = nn.Sequential(*groups)
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
                if module is not self.first:
                    nn.init.dirac_(module.weight[: module.in_channels])  # the identity, as far as it reaches
        nn.init.zeros_(self.first.bias)
        self.first.weight.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer to the principal directions of the images' patches, each divided by its deviation.

        Args:
            images: (N, C, H, W) uint8, a few thousand training images.

        Raises:
            ValueError: the images have another type or other channels.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != self.channels:
            raise ValueError(
                f"images is {images.dtype} of shape {tuple(images.shape)}; expected uint8 (N, {self.channels}, H, W)."
            )
        device = self.first.weight.device
        pixels = self.normalise(images.to(device).float() / 255)
        patches = F.unfold(pixels, PATCH).transpose(1, 2).flatten(0, 1).double()  # (n, C * 4)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))  # second moments: ours are centred
        whitening = (vectors / (values + SMALLEST_VARIANCE).sqrt()).T.float()  # (C * 4, C * 4), a row a direction
        kernels = whitening.view(-1, self.channels, PATCH, PATCH)
        self.first.weight.copy_(torch.cat([kernels, -kernels]))

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to the last feature map (B, D, h, w)."""
        return self.groups(F.gelu(self.first(images)))

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors: the maximum of each channel in each cell of the feature map, (B, C, H, W) to (B, D)."""
        return max_pool(self.feature_map(images), self.cells)
