"""Which images a step sees, and how they look: a function of the seed and the step alone, so that runs can resume."""

import hashlib

import torch
from torch import Tensor

from retrieval_lib.augmentation import RandomView, settings_for
from retrieval_lib.data import ImageSet
from retrieval_lib.methods.base import Batch, Method
from retrieval_lib.training.settings import TrainingSettings


def derived_seed(*told: int | str) -> int:
    """A seed of its own for each purpose, so that no two draws are the same by accident."""
    return int.from_bytes(hashlib.sha256(repr(told).encode()).digest()[:6], "big")


def epoch_of(step: int, count: int, batch_size: int) -> tuple[int, int]:
    """The epoch of a step and the step's place in it; an epoch leaves out the images that fill no whole batch.

    >>> epoch_of(7, count=10, batch_size=3)
    (2, 1)
    """
    per_epoch = max(1, count // batch_size)
    return step // per_epoch, step % per_epoch


def step_indices(train: Tensor, step: int, settings: TrainingSettings) -> Tensor:
    """Positions (B,) of the images of a step: each epoch is a new permutation of the training images."""
    epoch, place = epoch_of(step, len(train), settings.batch_size)
    generator = torch.Generator().manual_seed(derived_seed(settings.seed, "order", epoch))
    order = torch.randperm(len(train), generator=generator)
    return train[order[place * settings.batch_size : (place + 1) * settings.batch_size]]


def targets_of(images: ImageSet, indices: Tensor) -> Tensor:
    """(B, classes) float: one-hot, or multi-hot where images have several labels."""
    labels = images.labels[indices]
    if images.multi_label:
        return labels.float()
    return torch.nn.functional.one_hot(labels, len(images.class_names)).float()


def view_makers(method: Method, images: ImageSet) -> list[RandomView]:
    """One for each of the method's views, with what this data set allows."""
    size, channels = tuple(images.images.shape[2:]), images.images.shape[1]
    return [RandomView(settings_for(view, images.name, channels), size) for view in method.views]


def step_batch(
    method: Method, images: ImageSet, train: Tensor, step: int, settings: TrainingSettings, makers: list[RandomView]
) -> Batch:
    """The batch of a step, on the method's device.

    Args:
        method: whose views are made; labels are given only where it uses them.
        images: the data set.
        train: (n,) positions of the images to learn from.
        step: counted from 0.
        settings: batch size and seed.
        makers: as `view_makers` gives them.
    """
    device = next(method.parameters()).device
    indices = step_indices(train, step, settings)
    pixels = images.images[indices].to(device)
    views = [maker(pixels, derived_seed(settings.seed, "view", step, number)) for number, maker in enumerate(makers)]
    targets = targets_of(images, indices).to(device) if method.uses_labels else None
    return Batch(views, targets)
