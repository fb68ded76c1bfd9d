"""What every method that reads labels asks of them."""

import torch
from torch import Tensor


def check_classes(classes: int) -> None:
    """Refuse a method that would have nothing to tell apart.

    Raises:
        ValueError: there is no class.
    """
    if classes < 1:
        raise ValueError(f"classes={classes}: give how many labels there are, at least 1.")


def labelled(targets: Tensor, dtype: torch.dtype, batch: int | None = None, classes: int | None = None) -> Tensor:
    """The targets in the type that a loss computes in; what the caller has is not changed.

    Args:
        targets: (B, classes) one-hot or multi-hot.
        dtype: of what is returned.
        batch: B; None to take any number of images.
        classes: None to take any number of them.

    Raises:
        ValueError: the targets have another shape, or a row names no class.

    >>> labelled(torch.tensor([[0, 1], [1, 1]]), torch.float32)
    tensor([[0., 1.],
            [1., 1.]])
    """
    if targets.ndim != 2 or batch not in (None, len(targets)) or classes not in (None, targets.shape[1]):
        expected = f"({'B' if batch is None else batch}, {'classes' if classes is None else classes})"
        raise ValueError(f"targets {tuple(targets.shape)}: expected one-hot or multi-hot {expected}.")
    targets = targets.to(dtype)
    names_none = ~(targets.sum(1) > 0)  # NaN names none either
    if names_none.any():
        raise ValueError(
            f"Row {int(names_none.nonzero()[0])} of the targets is an image without a label; leave it out of the "
            "labelled batch."
        )
    return targets
