"""What a ranking is made of: groups of tied images, in the order of their distance."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TieGroups:
    """For each query the groups of images at the same distance, the nearest first.

    Attributes:
        sizes: (Q, G) int64, how many images are in a group; 0 fills a row up and changes nothing.
        relevant: (Q, G) int64, how many of them are relevant.
    """

    sizes: Tensor
    relevant: Tensor


def group_levels(distances: Tensor, relevant: Tensor, levels: int) -> TieGroups:
    """Groups of integer distances, by counting: a group for each distance that can occur.

    Args:
        distances: (Q, N) int32 from 0 to levels - 1.
        relevant: (Q, N) bool.
        levels: how many distances there can be.
    """
    queries = len(distances)
    row = torch.arange(queries, dtype=torch.int32).unsqueeze(1) * (2 * levels)
    key = torch.where(relevant, distances + levels, distances) + row  # which query, relevant or not, which distance
    counts = torch.bincount(key.flatten(), minlength=2 * levels * queries).view(queries, 2, levels)
    return TieGroups(counts.sum(1), counts[:, 1])


def group_sorted(distances: Tensor, relevant: Tensor, k: int) -> TieGroups:
    """Groups of distances of any kind, by sorting: images are tied where their distances are equal.

    What lies behind the group that holds place k is lumped into one last group: nobody asks for its order.

    Args:
        distances: (Q, N), none of them NaN.
        relevant: (Q, N) bool.
        k: how many places will be judged, from 1 to N.
    """
    values, index = distances.sort(dim=1)
    judged = int((values <= values[:, k - 1 : k]).sum(1).max())
    values, marks = values[:, :judged], relevant.gather(1, index[:, :judged]).long()  # (Q, W)
    starts = torch.ones_like(marks)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    if starts.all():
        sizes, hits = starts, marks
    else:
        group = starts.cumsum(1) - 1
        zeros = torch.zeros_like(marks)
        sizes, hits = zeros.scatter_add(1, group, torch.ones_like(marks)), zeros.scatter_add(1, group, marks)
    return _with_rest(sizes, hits, relevant)


def ordered(distances: Tensor, relevant: Tensor, order: Tensor, k: int) -> TieGroups:
    """Each image a group of its own: ties are broken by a given order, as the papers do by the order of storage.

    Args:
        distances: (Q, N), none of them NaN.
        relevant: (Q, N) bool.
        order: (N,) int64, a permutation: the database as it is stored.
        k: how many places will be judged, from 1 to N.
    """
    index = distances[:, order].sort(dim=1, stable=True).indices[:, :k]
    marks = relevant.gather(1, order[index]).long()  # (Q, k)
    return _with_rest(torch.ones_like(marks), marks, relevant)


def _with_rest(sizes: Tensor, hits: Tensor, relevant: Tensor) -> TieGroups:
    """Groups with one more at the end, of all images that are in none of them."""
    rest = relevant.shape[1] - sizes.sum(1, keepdim=True)
    hits_rest = relevant.sum(1, keepdim=True) - hits.sum(1, keepdim=True)
    return TieGroups(torch.cat([sizes, rest], 1), torch.cat([hits, hits_rest], 1))
