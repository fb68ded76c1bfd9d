"""Precision and recall at k, expected over all orders of the tied images."""

import torch
from torch import Tensor

from retrieval_lib.evaluation.tie_groups import TieGroups


def expected_hits(groups: TieGroups, ks: Tensor) -> Tensor:
    """How many relevant images the first k hold, on average over the orders of tied images.

    Args:
        groups: tied images, by query.
        ks: (P,) int64, at least 1.

    Returns:
        (Q, P) float64.

    >>> expected_hits(TieGroups(torch.tensor([[1, 4]]), torch.tensor([[1, 2]])), torch.tensor([1, 3]))
    tensor([[1., 2.]], dtype=torch.float64)
    """
    if len(ks) == 0 or int(ks.min()) < 1:
        raise ValueError(f"k={ks.tolist()}: a ranking has at least one place.")
    hits = torch.zeros(len(groups.sizes), len(ks), dtype=torch.float64)
    after = groups.sizes.cumsum(1)
    hits_after = groups.relevant.cumsum(1)
    for column, k in enumerate(ks.tolist()):
        group = torch.searchsorted(after, torch.full((len(after), 1), k)).clamp(max=after.shape[1] - 1)  # (Q, 1)
        size, relevant = groups.sizes.gather(1, group), groups.relevant.gather(1, group)
        before, hits_before = after.gather(1, group) - size, hits_after.gather(1, group) - relevant
        slots = (k - before).clamp(min=0).minimum(size)
        hits[:, column] = (hits_before + relevant * slots / size.clamp(min=1)).squeeze(1)
    return hits
