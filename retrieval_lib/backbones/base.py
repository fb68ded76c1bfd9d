"""What every backbone has in common: images between 0 and 1 go in, one descriptor an image comes out."""

import contextlib

import torch
from torch import Tensor, nn

from retrieval_lib.backbones.normalisation import Normalise, Statistics
from retrieval_lib.backbones.pooling import average_pool

SMALLEST_SIZE = 28  # pixels; below it the last feature map shrinks to a single position


def fast_autocast(device: str | torch.device = "cpu") -> torch.dtype | None:
    """The half precision in which this machine computes faster than in float32; None where there is none.

    A processor that only emulates bfloat16 is slower with it, hence the question. On a GPU that knows no bfloat16
    the answer is float16, whose gradients need a `torch.amp.GradScaler`.

    Args:
        device: where the backbone will run.
    """
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch before 2.6 cannot say: float32 then
    return torch.bfloat16 if native is not None and native() else None


def draw_convolutions(module: nn.Module, seed: int) -> None:
    """Draw the weights of all convolutions anew, from a seed of their own: He's normal initialisation (ICCV 2015)."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)


class Backbone(nn.Module):
    """A convolutional network that turns images into descriptors.

    Subclasses give `layers(images)`, from normalised images to the last feature map. The images' normalisation
    belongs to the backbone and is saved with it, so that nobody can forget or repeat it.

    Args:
        channels: 1 for grey, 3 for colour images.
        dimension: length D of a descriptor, the channels of the last feature map.
        statistics: mean and deviation of each channel; None leaves pixels as they are.
        autocast: half precision of the layers (see `fast_autocast`); None computes in float32. Descriptors are
            float32 either way.

    Attributes:
        geometry: names of further attributes that decide what the same weights give, for instance a stride.

    Raises:
        ValueError: channels is neither 1 nor 3, or the statistics are for another number of channels.
    """

    geometry: tuple[str, ...] = ()

    def __init__(
        self,
        channels: int,
        dimension: int,
        statistics: Statistics | None = None,
        autocast: torch.dtype | None = None,
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels={channels}: images are grey (1) or colour (3).")
        self.channels, self.dimension, self.autocast = channels, dimension, autocast
        self.normalise = Normalise(channels, statistics)

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to the last feature map (B, D, h, w)."""
        raise NotImplementedError(f"{type(self).__name__} must define layers(images).")

    def feature_map(self, images: Tensor) -> Tensor:
        """The last feature map, before pooling.

        Args:
            images: (B, C, H, W) float between 0 and 1, at least 28 pixels high and wide.

        Returns:
            (B, D, h, w), in half precision under autocast.

        Raises:
            ValueError: the shape or the type is another.
        """
        self._check(images)
        images = self.normalise(images).contiguous(memory_format=torch.channels_last)
        context = contextlib.nullcontext()
        if self.autocast is not None:
            context = torch.autocast(images.device.type, dtype=self.autocast)
        with context:
            return self.layers(images)

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors: the average of each channel of the feature map.

        Args:
            images: (B, C, H, W) float between 0 and 1.

        Returns:
            (B, D), float32 at least.
        """
        return average_pool(self.feature_map(images))

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.channels or min(images.shape[2:]) < SMALLEST_SIZE:
            raise ValueError(
                f"images has shape {tuple(images.shape)}; this backbone takes (B, {self.channels}, H, W) with H and "
                f"W of at least {SMALLEST_SIZE} pixels."
            )
        if not images.is_floating_point():
            raise ValueError(f"images is {images.dtype}; give floats between 0 and 1 (uint8 pixels / 255).")
