"""Who is it, or is it nobody known? Searches by queries whose person need not be in the database."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.evaluation.distances import Distances
from retrieval_lib.evaluation.relevance import Relevance
from retrieval_lib.evaluation.verification import query_blocks

NOBODY = -1


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """How often a stranger is taken for somebody, and somebody known is recognised, at every threshold.

    In the terms of face recognition: the false positive identification rate, and the detection and identification rate
    at rank 1.

    Attributes:
        thresholds: (T,) float64, rising; the first is -inf, at which nobody is named.
        false_positive: (T,) float64, the share of queries of unknown people for which somebody is named.
        identification: (T,) float64, the share of queries of known people for which the right person is named.
    """

    thresholds: Tensor
    false_positive: Tensor
    identification: Tensor


def identify(distances: Distances, database_labels: Tensor, threshold: float, seed: int = 0) -> Tensor:
    """The person on the nearest database image of each query, or `NOBODY` where even that is too far.

    Args:
        distances: of Q queries to N database images.
        database_labels: (N,) numbers of the people, not negative.
        threshold: the largest distance at which somebody is named.
        seed: ties are broken by one random order of the database, drawn from it.

    Returns:
        (Q,) int64.

    Raises:
        ValueError: the labels are not (N,) numbers from 0, the database is empty, there are no queries, or a distance
            is NaN.

    >>> from retrieval_lib.evaluation import Hamming
    >>> people = Hamming(torch.tensor([[True, True], [False, False]]), torch.tensor([[True, False], [True, True]]))
    >>> identify(people, torch.tensor([4, 9]), threshold=0).tolist()
    [9, -1]
    """
    if tuple(database_labels.shape) != (distances.shape[1],) or database_labels.is_floating_point():
        raise ValueError(
            f"database_labels are {database_labels.dtype} {tuple(database_labels.shape)}; expected one number for each "
            f"of the {distances.shape[1]} database images."
        )
    if not len(database_labels):
        raise ValueError("The database is empty; there is nothing to search.")
    if int(database_labels.min()) < 0:
        raise ValueError(f"A person has the number {int(database_labels.min())}; {NOBODY} means nobody, count from 0.")
    order = torch.randperm(distances.shape[1], generator=torch.Generator().manual_seed(seed))
    found = []
    for _, _, block in query_blocks(distances):
        shuffled = block[:, order]
        place = shuffled.argmin(1)  # the first of several
        near = shuffled.gather(1, place.unsqueeze(1)).squeeze(1) <= threshold
        found.append(torch.where(near, database_labels[order[place]].long(), NOBODY))
    return torch.cat(found)


def open_set_curve(known: Distances, relevance: Relevance, unknown: Distances) -> OpenSetCurve:
    """Both rates at every distance at which a query has its nearest image.

    Where several images are nearest, the right person is named by chance: the expectation over all orders counts.

    Args:
        known: distances of queries whose people are in the database.
        relevance: which of its images show them.
        unknown: distances of queries of other people to the same database.

    Raises:
        ValueError: shapes that differ, no queries of a kind, a known query without an image in the database, or a NaN
            distance.

    >>> from retrieval_lib.evaluation import Euclidean
    >>> database = torch.tensor([[0.0], [10.0]])
    >>> known, stranger = Euclidean(torch.tensor([[1.0], [7.0]]), database), Euclidean(torch.tensor([[2.0]]), database)
    >>> curve = open_set_curve(known, Relevance(torch.tensor([0, 1]), torch.tensor([0, 1])), stranger)
    >>> curve.thresholds.tolist(), curve.false_positive.tolist(), curve.identification.tolist()
    ([-inf, 1.0, 4.0, 9.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0])
    """
    if tuple(known.shape) != tuple(relevance.shape) or known.shape[1] != unknown.shape[1]:
        raise ValueError(
            f"known is {tuple(known.shape)}, its labels are for {tuple(relevance.shape)}, unknown is "
            f"{tuple(unknown.shape)}; all search one database."
        )
    nearest, right = [], []
    for start, stop, block in query_blocks(known):
        smallest, same = block.amin(1, keepdim=True), relevance.block(start, stop)
        if not same.any(1).all():
            raise ValueError(
                f"The known query {start + int((~same.any(1)).nonzero()[0])} has no image of its person in the "
                "database; it belongs to the unknown ones."
            )
        tied = block == smallest  # (q, N)
        nearest.append(smallest.squeeze(1).double())
        right.append((tied & same).sum(1).double() / tied.sum(1))
    near, chance = torch.cat(nearest), torch.cat(right)  # (Q,) each
    strange = torch.cat([block.amin(1).double() for _, _, block in query_blocks(unknown)])  # (U,)
    thresholds = torch.cat([torch.tensor([-torch.inf], dtype=torch.float64), torch.cat([near, strange]).unique()])
    ones = torch.ones_like(strange)
    return OpenSetCurve(thresholds, _share(strange, ones, thresholds), _share(near, chance, thresholds))


def _share(nearest: Tensor, weights: Tensor, thresholds: Tensor) -> Tensor:
    """The mean over queries (n,) of the weights of those within each threshold: (T,), without n x T numbers between."""
    ordered, order = nearest.sort()
    sums = torch.cat([weights.new_zeros(1), weights[order].cumsum(0)])  # (n + 1,)
    return sums[torch.searchsorted(ordered, thresholds, right=True)] / len(nearest)
