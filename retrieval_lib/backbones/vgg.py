"""GPQ's network for small images: after VGG, with descriptors from its last two blocks."""

import torch
from torch import Tensor, nn

from retrieval_lib.backbones.base import Backbone, draw_convolutions
from retrieval_lib.backbones.normalisation import Statistics

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3))  # channels and convolutions of each


def vgg_block(inputs: int, outputs: int, count: int) -> nn.Sequential:
    """`count` 3×3 convolutions, each followed by batch normalisation and ReLU: (B, inputs, h, w) to (B, outputs, h, w)."""
    layers: list[nn.Module] = []
    for number in range(count):
        layers += [
            nn.Conv2d(outputs if number else inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class SmallVGG(Backbone):
    """Four blocks of 64, 128, 256 and 512 channels, max-pooling after the first three; 7.6 M parameters, D = 768.

    The last feature map joins the 512 channels of the fourth block and the 256 that went into it, so that its average
    is the paper's descriptor (Jang and Cho, CVPR 2020): global averages of both, one after the other. That the 256 are
    averaged after their pooling, and not before, is our reading.

    Args:
        channels: 1 or 3.
        seed: of the initial weights (He's normal initialisation); the global random state is left alone.
        statistics, autocast: see `Backbone`.
    """

    def __init__(
        self,
        channels: int = 3,
        seed: int = 0,
        statistics: Statistics | None = None,
        autocast: torch.dtype | None = None,
    ):
        super().__init__(channels, BLOCKS[-1][0] + BLOCKS[-2][0], statistics, autocast)
        inputs = (channels, *(width for width, _ in BLOCKS[:-1]))
        with torch.random.fork_rng(devices=[]):  # torch's own initialisation draws numbers, replaced below
            self.blocks = nn.ModuleList(vgg_block(i, o, count) for i, (o, count) in zip(inputs, BLOCKS, strict=True))
        self.pool = nn.MaxPool2d(2)
        draw_convolutions(self, seed)
        self.to(memory_format=torch.channels_last)

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to the joined feature map (B, 768, H // 8, W // 8)."""
        for block in self.blocks[:-1]:
            images = self.pool(block(images))
        return torch.cat([self.blocks[-1](images), images], 1)
