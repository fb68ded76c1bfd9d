"""Draw a number of images of each class, in a seeded order."""

import torch
from torch import Tensor

from retrieval_lib.data.images import ImageSet


class ClassDraw:
    """The images of each class of one part of a data set, shuffled once, dealt out from the front.

    Args:
        images: a data set with one label an image.
        generator: fixes the order.
        part: 0 or 1 for the set's own training or test part, None for both together.

    Raises:
        ValueError: the images have several labels each.
    """

    def __init__(self, images: ImageSet, generator: torch.Generator, part: int | None = None):
        if images.multi_label:
            raise ValueError(f"{images.name} has several labels an image; this protocol draws by class and needs one.")
        self.name, self.class_names = images.name, images.class_names
        candidates = torch.arange(len(images)) if part is None else (images.part == part).nonzero().flatten()
        candidates = candidates[torch.randperm(len(candidates), generator=generator)]
        labels = images.labels[candidates]
        self.left = [candidates[labels == c] for c in range(len(images.class_names))]

    def take(self, count: int) -> Tensor:
        """`count` images of every class, sorted by position.

        Raises:
            ValueError: a class has fewer left.
        """
        for name, left in zip(self.class_names, self.left, strict=True):
            if len(left) < count:
                raise ValueError(f"{self.name}: class {name} has {len(left)} images left, {count} are needed.")
        taken = torch.cat([left[:count] for left in self.left])
        self.left = [left[count:] for left in self.left]
        return taken.sort().values

    def take_share(self, share: float) -> Tensor:
        """At least one image of every class, and `share` of it rounded down, sorted by position.

        Raises:
            ValueError: a class would have none left.
        """
        for name, left in zip(self.class_names, self.left, strict=True):
            if len(left) < 2:
                raise ValueError(
                    f"{self.name}: class {name} has too few images. Each class needs three: one to ask with, one to judge "
                    "the training by, and one to be found."
                )
        counts = [max(1, int(len(left) * share)) for left in self.left]
        taken = torch.cat([left[:n] for left, n in zip(self.left, counts, strict=True)])
        self.left = [left[n:] for left, n in zip(self.left, counts, strict=True)]
        return taken.sort().values

    def rest(self) -> Tensor:
        """All that is left, sorted by position."""
        return torch.cat(self.left).sort().values
