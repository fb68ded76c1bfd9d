"""The verbs that every method offers, so that one training loop, one evaluation and one set of figures serve all."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from retrieval_lib.augmentation import ViewSettings
from retrieval_lib.data import ImageSet, Search
from retrieval_lib.evaluation import Distances, Relevance
from retrieval_lib.quantization import ProductQuantizer


@dataclass(frozen=True)
class Batch:
    """What one step of a training sees.

    Attributes:
        views: one (B, C, H, W) float tensor between 0 and 1 for each of the method's `views`, of the same images.
        targets: (B, classes) float, one-hot or multi-hot; None where the method may not see labels.
        unlabelled: one (B, C, H, W) tensor for each of the method's `unlabelled_views`, of other images, whose labels
            no method sees.
    """

    views: Sequence[Tensor]
    targets: Tensor | None
    unlabelled: Sequence[Tensor] = ()


class Method(nn.Module):
    """A backbone, a head, and the losses that train them.

    A subclass sets `views` and `bits` and defines the first four verbs, and `quantizer` where it has codebooks. Its
    modules live in `self.backbone` and in whatever else it needs; all its parameters are trained but those that take
    no gradient, as the weights of `FastConvNet`'s first layer.

    Attributes:
        views: the random views of an image that a step needs, in the order in which `loss_terms` expects them.
        unlabelled_views: the views of as many unlabelled images, where the method learns from such, too.
        uses_labels: whether `loss_terms` reads the batch's targets.
        images_per_class: how many images of each of its classes a batch must hold; 0: images are drawn freely.
        bits: length of a code.
    """

    views: tuple[ViewSettings, ...]
    unlabelled_views: tuple[ViewSettings, ...] = ()
    uses_labels: bool = True
    images_per_class: int = 0
    bits: int

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The terms of the loss by name, each with its weight already applied; their sum is minimised.

        Args:
            batch: views and targets.
            progress: the share of the training that is behind us, from 0 to 1.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss_terms(batch, progress).")

    def descriptors(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float between 0 and 1 to (B, D): what the code is made of."""
        raise NotImplementedError(f"{type(self).__name__} must define descriptors(images).")

    def encode(self, descriptors: Tensor) -> Tensor:
        """(N, D) descriptors to codes: (N, bits) bool, or (N, M) int64."""
        raise NotImplementedError(f"{type(self).__name__} must define encode(descriptors).")

    def distances(self, query: Tensor, database_codes: Tensor) -> Distances:
        """What a search compares: the descriptors (Q, D) of queries with the codes of database images."""
        raise NotImplementedError(f"{type(self).__name__} must define distances(query, database_codes).")

    def quantizer(self) -> ProductQuantizer | None:
        """The codebooks as they are now, on the CPU, for an index; None where codes are binary."""
        return None


@torch.no_grad()
def describe(method: Method, images: Tensor, batch_size: int = 500) -> Tensor:
    """Descriptors of many images, without augmentation, in evaluation mode; the method's mode is restored.

    Args:
        method: any method.
        images: (N, C, H, W) uint8.
        batch_size: images at a time.

    Returns:
        (N, D) float32 on the CPU.

    Raises:
        ValueError: the images are no bytes, or not (N, C, H, W).
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(f"images are {images.dtype} of shape {tuple(images.shape)}; expected uint8 (N, C, H, W).")
    was_training, device = method.training, next(method.parameters()).device
    method.eval()
    try:
        parts = [method.descriptors(part.to(device).float() / 255).float().cpu() for part in images.split(batch_size)]
    finally:
        method.train(was_training)
    return torch.cat(parts)


def described_search(method: Method, images: ImageSet, search: Search) -> tuple[Tensor, Tensor, Relevance]:
    """What a method makes of a search: descriptors of queries (Q, D) and database (N, D), and what is relevant.

    Args:
        method: in any state.
        images: the data set.
        search: queries and database.
    """
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    return query, database, Relevance(images.labels[search.query], images.labels[search.database])
