"""A data set: all its images in one tensor, in an order that is fixed once."""

import hashlib
import json
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

ORDER_SEED = 20220  # fixes the order of the images of every data set, for good


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels.

    Attributes:
        name: the data set's name, as `load` knows it.
        source: which copy of it this is.
        images: (N, C, H, W) uint8, in a seeded permutation that is fixed at load.
        labels: (N,) int64 class numbers, or (N, L) bool where an image may have several of L labels.
        class_names: a name for each class; for faces a number, never a person's name.
        part: (N,) int64, 0 for the set's own training part and 1 for its own test part; all 0 where it has none.
        content_hash: SHA-256 over images, labels and part.
    """

    name: str
    source: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    part: Tensor
    content_hash: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    def without_labels(self, indices: Tensor) -> Tensor:
        """The images alone, (n, C, H, W) uint8: what a method may see of the unlabelled part of a split."""
        return self.images[indices]

    def resized(self, side: int) -> "ImageSet":
        """The same images in the same order, each brought to side x side pixels; splits of one fit the other.

        Args:
            side: in pixels, at least 1.

        Raises:
            ValueError: there is no such side.
        """
        if side < 1:
            raise ValueError(f"side={side}: give at least 1 pixel.")
        images = F.interpolate(self.images.float(), (side, side), mode="area").round().to(torch.uint8)
        source = f"{self.source}, brought to {side} x {side}"
        return replace(self, source=source, images=images, content_hash=content_hash(images, self.labels, self.part))


def content_hash(images: Tensor, labels: Tensor, part: Tensor) -> str:
    """SHA-256 over the bytes, shapes and types of a data set's tensors."""
    digest = hashlib.sha256()
    for tensor in (images, labels, part):
        digest.update(json.dumps([list(tensor.shape), str(tensor.dtype)]).encode())
        digest.update(memoryview(tensor.contiguous().numpy()).cast("B"))
    return digest.hexdigest()


def fixed_order(count: int) -> Tensor:
    """Which of `count` images, as they were read, stands at each position of an `ImageSet`: (count,) int64."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(ORDER_SEED))


def image_set(
    name: str, source: str, images: Tensor, labels: Tensor, class_names, part: Tensor | None = None
) -> ImageSet:
    """Check a data set's tensors, put its images into their fixed order, and hash them.

    Args:
        name, source: as in `ImageSet`.
        images: (N, C, H, W) uint8, in any order.
        labels: (N,) integers from 0, or (N, L) bool.
        class_names: one for each class.
        part: (N,) 0 or 1; None where the set has no test part of its own.

    Raises:
        ValueError: the tensors do not fit together.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"{name}: images are {images.dtype} of shape {tuple(images.shape)}; expected uint8 (N, 1 or 3, H, W)."
        )
    if len(labels) != len(images):
        raise ValueError(f"{name}: {len(images)} images but {len(labels)} labels; each image needs one entry.")
    class_names = tuple(str(c) for c in class_names)
    if labels.ndim == 1:
        labels = labels.long()
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
            raise ValueError(
                f"{name}: labels go from {int(labels.min())} to {int(labels.max())}, "
                f"but there are {len(class_names)} class names."
            )
        empty = (torch.bincount(labels, minlength=len(class_names)) == 0).nonzero().flatten().tolist()
    else:
        labels = labels.bool()
        if labels.shape[1] != len(class_names):
            raise ValueError(f"{name}: {labels.shape[1]} columns of labels, but {len(class_names)} class names.")
        empty = (~labels.any(0)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"{name}: no image of class {', '.join(class_names[c] for c in empty[:5])}; leave it out.")
    part = torch.zeros(len(images), dtype=torch.int64) if part is None else part.long()
    order = fixed_order(len(images))
    images, labels, part = images[order], labels[order], part[order]
    return ImageSet(name, source, images, labels, class_names, part, content_hash(images, labels, part))
