"""What a ranking is made of: groups of tied images, in the order of their distance."""

from dataclasses import dataclass

import numpy as np
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
    """Groups of distances of any kind, by sorting: images are tied where their distances are equal as float32.

    Distance and relevance are packed into one integer, which sorts many times faster than an argsort. What lies
    behind the group that holds place k is lumped into one last group: nobody asks for its order.

    Args:
        distances: (Q, N), none of them NaN.
        relevant: (Q, N) bool.
        k: how many places will be judged, from 1 to N.

    >>> group_sorted(torch.tensor([[0.5, -1.0, 0.5, 9.0]]), torch.tensor([[True, False, False, True]]), k=2)
    TieGroups(sizes=tensor([[1, 2, 1]]), relevant=tensor([[0, 1, 1]]))
    """
    keys = _ordered_integers(distances).mul_(2).add_(relevant)  # (Q, N)
    top = _smallest(keys, k)  # (Q, k)
    values = top >> 1
    group = torch.zeros_like(values)
    torch.cumsum(values[:, 1:] != values[:, :-1], 1, out=group[:, 1:])
    last = group[:, -1:].clone()  # the group that holds place k
    width = int(last.max()) + 1
    cells = group.mul_(2).add_(top & 1).add_(torch.arange(len(keys)).unsqueeze(1) * (2 * width))
    counts = torch.bincount(cells.flatten(), minlength=2 * width * len(keys)).view(-1, width, 2)
    sizes, hits = counts.sum(2), counts[:, :, 1].clone()
    if k < keys.shape[1]:  # it may go on behind place k
        value = values[:, -1:] * 2
        more = (keys == value + 1).sum(1, keepdim=True)
        hits.scatter_(1, last, more)
        sizes.scatter_(1, last, more + (keys == value).sum(1, keepdim=True))
    return _with_rest(sizes, hits, relevant)


def ordered(distances: Tensor, relevant: Tensor, order: Tensor, k: int) -> TieGroups:
    """Each image a group of its own: ties are broken by a given order, as the papers do by the order of storage.

    Args:
        distances: (Q, N), none of them NaN.
        relevant: (Q, N) bool.
        order: (N,) int64, a permutation: the database as it is stored.
        k: how many places will be judged, from 1 to N.
    """
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))  # where each image is stored
    keys = _ordered_integers(distances).mul_(2**32)
    keys |= place << 1
    keys |= relevant
    marks = _smallest(keys, k) & 1  # (Q, k)
    return _with_rest(torch.ones_like(marks), marks, relevant)


def _ordered_integers(distances: Tensor) -> Tensor:
    """(Q, N) int64 in the order of the distances: the bits of a float32, the order of the negative ones reversed."""
    if not distances.is_floating_point():
        return distances.to(torch.int64, copy=True)  # the caller works in place
    bits = (distances.float() + 0.0).view(torch.int32)  # a copy; adding 0 turns -0.0 into 0.0
    bits ^= (bits >> 31) & 0x7FFFFFFF  # the shift is -1 for negative numbers, 0 for others
    return bits.long()


def _smallest(keys: Tensor, k: int) -> Tensor:
    """(Q, k): the k smallest keys of each row, rising. The keys themselves change places."""
    array = keys.numpy()
    if k < array.shape[1]:
        array.partition(k - 1, axis=1)
    return torch.from_numpy(np.sort(array[:, :k], axis=1))


def _with_rest(sizes: Tensor, hits: Tensor, relevant: Tensor) -> TieGroups:
    """Groups with one more at the end, of all images that are in none of them."""
    rest = relevant.shape[1] - sizes.sum(1, keepdim=True)
    hits_rest = relevant.sum(1, keepdim=True) - hits.sum(1, keepdim=True)
    return TieGroups(torch.cat([sizes, rest], 1), torch.cat([hits, hits_rest], 1))
