"""How much a recorded training may do, and the small fast network that all such trainings start from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.backbones import (
    STATISTICS,
    channel_statistics,
    fast_autocast,
    load_backbone,
    settle_batch_statistics,
)
from retrieval_lib.backbones.fast_convnet import FastConvNet
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.training import TrainingSettings

WHITENED_ON = 5_000  # training images that the first layer is computed from


@dataclass(frozen=True)
class Budget:
    """How much a training may do.

    Attributes:
        widths: of the network's three groups.
        steps, batch_size, learning_rate, weight_decay: of the training.
    """

    widths: tuple[int, int, int]
    steps: int
    batch_size: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4

    def training(self, seed: int, split: Split) -> TrainingSettings:
        """The settings of the loop; the validation score is only taken at the end.

        Args:
            seed: of the run.
            split: a batch holds no more than its training images.
        """
        return TrainingSettings(
            self.steps, min(self.batch_size, len(split.train)), learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, warm_up=self.steps // 20, evaluate_every=self.steps, seed=seed,
        )  # fmt: skip


TINY = Budget((8, 16, 16), 60, batch_size=64)


def machine_device() -> str:
    """Where trainings run: the GPU, if this machine has one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def budget_for(profile: str, wanted: Budget) -> Budget:
    """The profile `quick` makes every training tiny."""
    return TINY if profile == "quick" else wanted


def whitened_network(
    images: ImageSet, train: Tensor, widths: tuple[int, int, int], seed: int, device: str = "cpu", **settings: int
) -> FastConvNet:
    """A new fast network for these images, its first layer whitened and its batch statistics taken from training images.

    Args:
        images: the data set; its statistics are those of the training images where they are not known.
        train: (n,) positions of the training images.
        widths: channels of the network's three groups.
        seed: of the initial weights.
        device: where the network will run; it decides the precision. The network itself is made on the CPU.
        settings: others of the network.
    """
    backbone = load_backbone(
        "fast-convnet", channels=images.images.shape[1], seed=seed, autocast=fast_autocast(device), widths=widths,
        statistics=STATISTICS.get(images.name) or channel_statistics(images.images[train]), **settings,
    )  # fmt: skip
    pixels = images.images[train[:WHITENED_ON]]
    backbone.whiten(pixels)
    settle_batch_statistics(backbone, pixels)
    return backbone
