"""A method so small that a training takes a moment, on images that can be learned."""

import torch
from torch import nn

from retrieval_lib.augmentation import ViewSettings
from retrieval_lib.backbones import load_backbone
from retrieval_lib.backbones.resnet import SmallResNet
from retrieval_lib.data import ImageSet, Search, Split, image_set
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.training import TrainingSettings

GENTLE = ViewSettings(crop=0.5, crop_area=(0.6, 1.0), flip=0.5)
SHORT = TrainingSettings(steps=12, batch_size=32, learning_rate=3e-3, warm_up=2, evaluate_every=5, save_every=4)


def striped_images() -> ImageSet:
    """240 grey images of three classes: horizontal, vertical and no stripes, in noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 3
    wave = ((torch.arange(28) // 4) % 2 * 90).float()
    clean = torch.zeros(3, 1, 28, 28)
    clean[0, 0], clean[1, 0], clean[2, 0] = wave[:, None].expand(28, 28), wave[None].expand(28, 28), 45
    pixels = clean[labels] + 80 + 30 * torch.randn(240, 1, 28, 28, generator=generator)
    return image_set("stripes", "made up", pixels.clamp(0, 255).to(torch.uint8), labels, ("across", "down", "none"))


def striped_split() -> Split:
    """180 to learn from, 30 validation queries that search them, 30 test queries."""
    positions = torch.arange(240)
    train, held_out, test = positions[:180], positions[180:210], positions[210:]
    searches = {"validation": Search(held_out, train), "test": Search(test, positions[:210])}
    return Split("stripes", 0, "the hash of this split", train, torch.empty(0, dtype=torch.int64), searches)


def small_method(**settings) -> DHD:
    """A new small DHD, always with the same weights."""
    backbone = load_backbone("small-resnet", channels=1, width=4)
    return DHD(backbone, 3, DHDSettings(**{"bits": 8, "strong": GENTLE} | settings))


class DroppingResNet(SmallResNet):
    """Hides values of its descriptors from a step, as AlexNet does."""

    def __init__(self):
        super().__init__(channels=1, width=4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images):
        """(B, 1, H, W) to (B, 16)."""
        return self.dropout(super().forward(images))


def dropping_method() -> DHD:
    """The same with dropout, which draws from torch's global generator."""
    return DHD(DroppingResNet(), 3, DHDSettings(bits=8, strong=GENTLE))
