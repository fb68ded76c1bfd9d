"""Descriptors of a data set's images, looked up by the image's index."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Descriptors of some images of a data set.

    Attributes:
        values: (n, D) float32.
        indices: (n,) int64, the images' indices in their `ImageSet`; none twice.

    >>> features = Features(torch.tensor([[0.5], [2.0]]), torch.tensor([40, 10]))
    >>> features.at(torch.tensor([10, 10, 40]))
    tensor([[2.0000],
            [2.0000],
            [0.5000]])
    """

    values: Tensor
    indices: Tensor

    def at(self, indices: Tensor) -> Tensor:
        """The descriptors of these images, in this order.

        Args:
            indices: (m,) int64 indices into the `ImageSet`.

        Returns:
            (m, D) float32.

        Raises:
            ValueError: an image is asked for whose descriptor was not computed.
        """
        ordered, order = self.indices.sort()
        place = torch.searchsorted(ordered, indices).clamp(max=len(ordered) - 1)
        missing = ordered[place] != indices
        if missing.any():
            raise ValueError(
                f"{int(missing.sum()):,} of {len(indices):,} images have no features here, the first is image "
                f"{int(indices[missing][0])}; restrict the indices with within(indices, features.indices)."
            )
        return self.values[order[place]]
