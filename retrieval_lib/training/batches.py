"""Which images a step sees, and how they look: a function of the seed and the step alone, so that runs can resume."""

import hashlib
from bisect import bisect_left

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


def step_indices(positions: Tensor, step: int, settings: TrainingSettings, purpose: str = "order") -> Tensor:
    """Positions (B,) of the images of a step: each epoch is a new permutation of the images to learn from.

    Args:
        positions: (n,) of these images.
        step: counted from 0.
        settings: batch size and seed.
        purpose: of the draw: two kinds of images in a batch are drawn independently.
    """
    epoch, place = epoch_of(step, len(positions), settings.batch_size)
    generator = torch.Generator().manual_seed(derived_seed(settings.seed, purpose, epoch))
    order = torch.randperm(len(positions), generator=generator)
    return positions[order[place * settings.batch_size : (place + 1) * settings.batch_size]]


def steps_per_epoch(method: Method, images: ImageSet, train: Tensor, settings: TrainingSettings) -> int:
    """How many batches an epoch has, for a method that takes its images freely or by class.

    Args:
        method: its `images_per_class` is read.
        images: the data set.
        train: (n,) positions of the images to learn from.
        settings: batch size.

    Raises:
        ValueError: the method asks for images by class, and cannot have them: it may not see labels, the images have
            several labels each, the batch size is no multiple of `images_per_class`, or there are too few classes
            with that many training images.
    """
    each = method.images_per_class
    if not each:
        return max(1, len(train) // settings.batch_size)
    if not method.uses_labels:
        raise ValueError(
            f"images_per_class={each}: batches by class tell a method the labels that it may not see; set it to 0."
        )
    if images.multi_label:
        raise ValueError(
            f"images_per_class={each}: {images.name} has several labels an image, so no image belongs to one class; "
            "set it to 0 to draw images freely."
        )
    return _class_batches(torch.bincount(images.labels[train]), settings.batch_size, each)


def _class_batches(counts: Tensor, batch_size: int, each: int) -> int:
    """The largest number T of batches of P classes for which classes of (classes,) `counts` images suffice.

    A class fills one place in each of at most T batches, so T is possible where the sum of min(groups, T) is P T.
    """
    if batch_size % each:
        raise ValueError(
            f"batch_size={batch_size} is no multiple of images_per_class={each}; take {max(1, batch_size // each) * each}."
        )
    classes, groups = batch_size // each, counts // each
    enough = int((groups > 0).sum())
    if enough < classes:
        raise ValueError(
            f"batch_size={batch_size} with images_per_class={each} needs {classes} classes of at least {each} training "
            f"images, but there are {enough}; take a batch of at most {enough * each}, or fewer images a class."
        )
    most = int(groups.sum()) // classes
    return bisect_left(range(1, most + 1), True, key=lambda t: int(groups.clamp(max=t).sum()) < classes * t)


def class_step_indices(train: Tensor, labels: Tensor, step: int, settings: TrainingSettings, each: int) -> Tensor:
    """Positions (B,) of the images of a step: `each` images of each of B / `each` classes, class by class.

    In an epoch no image is seen twice. The images of a class are shuffled and cut into groups of `each`; what fills no
    group waits for another epoch, when the shuffle is another. The groups stand in a row, class by class, and are dealt
    to the epoch's T batches in turn, so that no batch gets two groups of a class (McNaughton's wrap-around rule, 1959).
    Groups in excess are left out at random, each class's first one last, so that an epoch misses as few classes as it
    can.

    Args:
        train: (n,) positions of the images to learn from.
        labels: (n,) their classes.
        step: counted from 0.
        settings: batch size and seed.
        each: images of a class in a batch, at least 1.

    Raises:
        ValueError: the batch size is no multiple of `each`, or too few classes have `each` images.
    """
    counts = torch.bincount(labels)  # (classes,)
    batches = _class_batches(counts, settings.batch_size, each)
    epoch, place = divmod(step, batches)
    generator = torch.Generator().manual_seed(derived_seed(settings.seed, "classes", epoch))
    order = torch.randperm(len(train), generator=generator)
    by_class = order[labels[order].argsort(stable=True)]  # (n,): shuffled, then sorted by class
    groups = (counts // each).clamp(max=batches)
    owner = torch.repeat_interleave(groups)  # (G,): the class of each group
    number = torch.arange(len(owner)) - (groups.cumsum(0) - groups)[owner]  # (G,): from 0 in each class
    first = (counts.cumsum(0) - counts)[owner] + each * number  # (G,): where in `by_class` the group begins
    chance = torch.rand(len(owner), generator=generator) + (number > 0)
    kept = chance.argsort()[: batches * (settings.batch_size // each)]
    seat = torch.randperm(len(counts), generator=generator)
    row = kept[seat[owner[kept]].argsort(stable=True)]  # the groups class by class, classes in random order
    turn = torch.randperm(batches, generator=generator)[place]
    mine = first[row[turn::batches]].unsqueeze(1) + torch.arange(each)  # (B / each, each)
    return train[by_class[mine.flatten()]]


def targets_of(images: ImageSet, indices: Tensor) -> Tensor:
    """(B, classes) float: one-hot, or multi-hot where images have several labels."""
    labels = images.labels[indices]
    if images.multi_label:
        return labels.float()
    return torch.nn.functional.one_hot(labels, len(images.class_names)).float()


def view_makers(method: Method, images: ImageSet) -> list[RandomView]:
    """One for each of the method's views and then of its unlabelled ones, with what this data set allows."""
    size, channels = tuple(images.images.shape[2:]), images.images.shape[1]
    return [
        RandomView(settings_for(view, images.name, channels), size)
        for view in (*method.views, *method.unlabelled_views)
    ]


def step_batch(
    method: Method,
    images: ImageSet,
    train: Tensor,
    step: int,
    settings: TrainingSettings,
    makers: list[RandomView],
    unlabelled: Tensor | None = None,
) -> Batch:
    """The batch of a step, on the method's device.

    Args:
        method: whose views are made; labels are given only where it uses them.
        images: the data set.
        train: (n,) positions of the images to learn from.
        step: counted from 0.
        settings: batch size and seed.
        makers: as `view_makers` gives them.
        unlabelled: (u,) positions of the images to learn from without their labels, for a method that wants such.

    Raises:
        ValueError: as `steps_per_epoch`; or the method wants unlabelled images, and there is no batch of them.
    """
    device = next(method.parameters()).device
    if method.images_per_class:
        steps_per_epoch(method, images, train, settings)  # refuses what has no batches by class
        indices = class_step_indices(train, images.labels[train], step, settings, method.images_per_class)
    else:
        indices = step_indices(train, step, settings)
    pixels = images.images[indices].to(device)
    sources = [pixels] * len(method.views)
    if method.unlabelled_views:
        check_unlabelled(unlabelled, settings)
        drawn = step_indices(unlabelled, step, settings, "unlabelled order")
        sources += [images.without_labels(drawn).to(device)] * len(method.unlabelled_views)
    views = [
        maker(source, derived_seed(settings.seed, "view", step, number))
        for number, (source, maker) in enumerate(zip(sources, makers, strict=True))
    ]
    targets = targets_of(images, indices).to(device) if method.uses_labels else None
    return Batch(views[: len(method.views)], targets, views[len(method.views) :])


def check_unlabelled(unlabelled: Tensor | None, settings: TrainingSettings) -> None:
    """Refuse a split that has no batch of unlabelled images.

    Raises:
        ValueError: there are fewer than a batch.
    """
    count = 0 if unlabelled is None else len(unlabelled)
    if count < settings.batch_size:
        raise ValueError(
            f"The method learns from {settings.batch_size} unlabelled images a step, but the split has {count}; take a "
            "semi-supervised protocol, a smaller batch, or the method without its unlabelled term."
        )
