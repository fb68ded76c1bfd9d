"""What methods with binary codes share: a code is the signs of its descriptor, a search compares by Hamming distance."""

import torch
from torch import Tensor, nn

from retrieval_lib.evaluation import Hamming
from retrieval_lib.hashing import sign_bits
from retrieval_lib.methods.base import Method


class HashHead(nn.Module):
    """A linear layer without bias, layer normalisation, tanh: descriptors (B, D) to relaxed codes (B, bits).

    Args:
        dimension: D.
        bits: length of a code.
        generator: of the initial weights.
        bounded: whether tanh is applied; DPN does without.
    """

    def __init__(self, dimension: int, bits: int, generator: torch.Generator, bounded: bool = True):
        super().__init__()
        self.bounded = bounded
        with torch.random.fork_rng(devices=[]):  # a new layer draws from the global state, and is drawn again below
            self.linear = nn.Linear(dimension, bits, bias=False)
        nn.init.xavier_uniform_(self.linear.weight, generator=generator)
        self.norm = nn.LayerNorm(bits)

    def forward(self, descriptors: Tensor, sharpness: float = 1.0) -> Tensor:
        """(B, D) to (B, bits), between -1 and 1 where it is bounded; `sharpness` multiplies what tanh is applied to."""
        values = self.norm(self.linear(descriptors))
        return torch.tanh(sharpness * values) if self.bounded else values


def class_proxies(classes: int, bits: int, generator: torch.Generator) -> nn.Parameter:
    """A learnable relaxed code for each class, (classes, bits); Xavier-uniform with the gain of tanh (DHD, ECCV 2022)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(classes, bits), gain=5 / 3, generator=generator))


class BinaryMethod(Method):
    """A method whose descriptors are relaxed codes (B, bits), made by `self.head` from those of `self.backbone`."""

    def descriptors(self, images: Tensor) -> Tensor:
        """Relaxed codes h: (B, C, H, W) to (B, bits); between -1 and 1 where the head ends in tanh."""
        return self.head(self.backbone(images))

    def encode(self, descriptors: Tensor) -> Tensor:
        """(N, bits) relaxed codes to bool codes."""
        return sign_bits(descriptors)

    def distances(self, query: Tensor, database_codes: Tensor) -> Hamming:
        """Both sides are hashed."""
        return Hamming(self.encode(query), database_codes)
