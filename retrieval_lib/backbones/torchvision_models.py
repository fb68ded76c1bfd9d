"""Pretrained networks of torchvision, for the papers' settings: AlexNet and ResNet-50 for images of 224 pixels."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn
from torchvision.models import AlexNet_Weights, ResNet50_Weights, WeightsEnum, alexnet, resnet50

from retrieval_lib.backbones.base import Backbone
from retrieval_lib.backbones.normalisation import Statistics
from retrieval_lib.files import sha256_of_file

IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what these weights were trained with


class TorchvisionNetwork(Backbone):
    """A torchvision network without its last layer.

    The weights come from torchvision's server, at the first use; their checksum is compared, also where they lie in the
    cache of `torch.hub`, and reading them runs no code.

    Args:
        channels: must be 3.
        pretrained: False for random weights, for instance in a test.
        seed: of the random weights.
        autocast: see `Backbone`.

    Raises:
        ValueError: the images are grey, or the weights in the cache are not those that their name says.
        OSError: the weights cannot be fetched.
    """

    smallest = 64  # pixels; below it the first layers leave nothing

    def __init__(self, channels: int = 3, pretrained: bool = True, seed: int = 0, autocast: torch.dtype | None = None):
        if channels != 3:
            raise ValueError(f"channels={channels}: torchvision's networks take colour images (3).")
        super().__init__(channels, self.descriptor_length, IMAGENET, autocast)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = self.build()
        if pretrained:
            check_cached(self.weights)
            weights = self.weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
            self.network.load_state_dict(weights)
        self.drop_classifier()
        self.to(memory_format=torch.channels_last)

    def _check(self, images: Tensor) -> None:
        super()._check(images)
        if min(images.shape[2:]) < self.smallest:
            raise ValueError(
                f"images has shape {tuple(images.shape)}; this network takes images of at least {self.smallest} "
                "pixels. Load them larger: size=224."
            )


def check_cached(weights: WeightsEnum) -> None:
    """Compare weights in the cache with the SHA-256 in their name; torch.hub does so when it downloads them only.

    Raises:
        ValueError: the file is another one.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlsplit(weights.url).path).name
    expected = file.stem.rpartition("-")[2]  # its first digits: resnet50-0676ba61.pth
    if file.is_file() and not (found := sha256_of_file(file)).startswith(expected):
        raise ValueError(
            f"{file} has the wrong checksum: SHA-256 {found}, but its name says {expected}…. The file is damaged or "
            "incomplete; remove it, and it is downloaded again."
        )


class AlexNet(TorchvisionNetwork):
    """AlexNet up to its last hidden layer: D = 4096."""

    descriptor_length, build, weights = 4096, staticmethod(alexnet), AlexNet_Weights.IMAGENET1K_V1

    def drop_classifier(self) -> None:
        """Leave the layer out that names ImageNet's classes."""
        self.network.classifier = self.network.classifier[:-1]

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) to the last feature map (B, 256, h, w)."""
        return self.network.features(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float between 0 and 1 to (B, 4096)."""
        features = self.network.avgpool(self.feature_map(images).float()).flatten(1)
        return self.network.classifier(features)


class ResNet50(TorchvisionNetwork):
    """ResNet-50 up to its average pooling: D = 2048."""

    descriptor_length, build, weights = 2048, staticmethod(resnet50), ResNet50_Weights.IMAGENET1K_V1

    def drop_classifier(self) -> None:
        """Leave the layer out that names ImageNet's classes."""
        self.network.fc = nn.Identity()

    def layers(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) to the last feature map (B, 2048, h, w)."""
        n = self.network
        x = n.maxpool(n.relu(n.bn1(n.conv1(images))))
        return n.layer4(n.layer3(n.layer2(n.layer1(x))))
