"""A backbone by its name."""

import torch

from retrieval_lib.backbones.base import Backbone
from retrieval_lib.backbones.efficientnet_lite import EfficientNetLite0
from retrieval_lib.backbones.fast_convnet import FastConvNet
from retrieval_lib.backbones.normalisation import Statistics
from retrieval_lib.backbones.resnet import CifarResNet18, SmallResNet
from retrieval_lib.backbones.torchvision_models import AlexNet, ResNet50
from retrieval_lib.backbones.vgg import SmallVGG

TRAINABLE = {
    "small-resnet": SmallResNet, "fast-convnet": FastConvNet, "cifar-resnet18": CifarResNet18, "small-vgg": SmallVGG,
}  # fmt: skip
PRETRAINED = {"efficientnet-lite0": EfficientNetLite0, "alexnet": AlexNet, "resnet50": ResNet50}
DRAWN_ON_DEMAND = ("alexnet", "resnet50")  # whose pretrained weights one can do without
BACKBONES = (*TRAINABLE, *PRETRAINED)


def load_backbone(
    name: str,
    *,
    channels: int = 3,
    seed: int = 0,
    statistics: Statistics | None = None,
    autocast: torch.dtype | None = None,
    **settings: int | bool | tuple[int, ...],
) -> Backbone:
    """A backbone by its name, ready to run in float32 or, with `autocast=fast_autocast()`, as fast as it can.

    Args:
        name: "small-resnet" (setting: width=32), "fast-convnet" (settings: widths, stride, cells), "cifar-resnet18" or
            "small-vgg", which start from random weights; "efficientnet-lite0" (setting: size=96), "alexnet" or
            "resnet50" (setting: pretrained=True), which bring theirs.
        channels: of the images, 1 or 3.
        seed: of the initial weights; a pretrained network has nothing to draw.
        statistics: mean and deviation of each channel, for instance `STATISTICS["cifar10"]`; None leaves pixels as
            they are. A pretrained network brings its own.
        autocast: half precision of the layers, see `fast_autocast`.
        settings: the network's own.

    Returns:
        A module from (B, channels, H, W) floats between 0 and 1 to (B, dimension) descriptors.

    Raises:
        ValueError: no backbone has this name, or statistics are given for a pretrained one.

    >>> load_backbone("small-resnet", channels=1).dimension
    128
    """
    if name in TRAINABLE:
        return TRAINABLE[name](channels=channels, seed=seed, statistics=statistics, autocast=autocast, **settings)
    if name in PRETRAINED:
        if statistics is not None:
            raise ValueError(f"{name} wants its own normalisation; leave statistics out.")
        if name in DRAWN_ON_DEMAND:
            settings["seed"] = seed
        return PRETRAINED[name](channels=channels, autocast=autocast, **settings)
    raise ValueError(f"There is no backbone {name!r}; choose from {', '.join(BACKBONES)}.")
