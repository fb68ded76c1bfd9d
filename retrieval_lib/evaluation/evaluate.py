"""Judge a search: mAP@k, precision@k, recall@k, and the curve between them, in blocks that fit into memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.evaluation.average_precision import DIVISORS, average_precision
from retrieval_lib.evaluation.distances import Distances, check_finite
from retrieval_lib.evaluation.precision_recall import expected_hits
from retrieval_lib.evaluation.relevance import Relevance
from retrieval_lib.evaluation.tie_groups import TieGroups, group_levels, group_sorted, ordered
from retrieval_lib.progress import ProgressLine

MEMORY = 256 * 2**20  # bytes that a block of queries may take
BYTES_COUNTED = 24  # for each image, where distances are counted: distance, relevance, key
BYTES_SORTED = 48  # for each image, where they are sorted: distance, relevance, key, and copies on the way
BYTES_JUDGED = 120  # for each judged place: groups and sums, some fifteen numbers of 8 bytes
DIVIDED_BY = {
    "retrieved": "the relevant images among the top k",
    "min(k, R)": "min(k, R), R being all relevant images",
    "all relevant": "all relevant images",
}


@dataclass(frozen=True, eq=False)
class Scores:
    """How good a search is.

    Attributes:
        mean_average_precision: mAP@k, over the queries that count.
        average_precision: (Q,) float64, of every query; 0 where there is no hit, even if such a query is left out.
        precision: at k, the mean over all queries.
        recall: at k, the mean over all queries; that of a query that has nothing relevant is 0.
        k: length of the ranking that was judged, at most N.
        divisor: see `evaluate`, as for the next three.
        ties: the rule for tied images.
        seed: of the order of tied images.
        queries_without_hit: the rule for them.
        left_out: how many queries do not count.
    """

    mean_average_precision: float
    average_precision: Tensor
    precision: float
    recall: float
    k: int
    divisor: str
    ties: str
    seed: int
    queries_without_hit: str
    left_out: int

    @property
    def metric(self) -> str:
        """The full name of the score: its k, its divisor, its rules for ties and for queries without a hit."""
        order = f"one order, seed {self.seed}" if self.ties == "seeded" else "mean over all orders"
        without = "count 0" if self.queries_without_hit == "zero" else f"left out ({self.left_out:,})"
        return (
            f"mAP@{self.k}, divisor {self.divisor}: {DIVIDED_BY[self.divisor]}; ties {self.ties}: {order}; "
            f"queries without a hit {without}"
        )

    def __str__(self) -> str:
        return f"{self.mean_average_precision:.4f} ({self.metric})"


def evaluate(
    distances: Distances,
    relevance: Relevance,
    *,
    k: int | None = 1000,
    divisor: str = "retrieved",
    ties: str = "expected",
    seed: int = 0,
    queries_without_hit: str = "zero",
    memory: int = MEMORY,
) -> Scores:
    """Judge a search.

    Args:
        distances: of Q queries to N database images; for instance `Hamming`, `ADC`, `Euclidean`.
        relevance: which of them are relevant.
        k: length of the ranking that is judged; None, or more than N, for all of it.
        divisor: of average precision, see `average_precision`.
        ties: `expected` averages over all orders of tied images; `seeded` breaks ties by one random order of the
            database, drawn from `seed`.
        seed: of that order.
        queries_without_hit: `zero` counts a query that finds nothing relevant in the top k as 0; `left out` leaves it
            out of mAP, as HashNet's evaluation does, if no order of its ties finds anything.
        memory: bytes that may be used for a block of queries; at least one query is taken at a time.

    Raises:
        ValueError: shapes that differ, an empty database, k below 1, a name that is not known, a NaN distance, or
            no query left to average over.

    >>> from retrieval_lib.evaluation import Euclidean
    >>> found = Euclidean(torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    >>> print(evaluate(found, Relevance(torch.tensor([7]), torch.tensor([7, 1, 7])), k=None))
    0.8333 (mAP@3, divisor retrieved: the relevant images among the top k; ties expected: mean over all orders; \
queries without a hit count 0)
    """
    if divisor not in DIVISORS:
        raise ValueError(f"There is no divisor {divisor!r}; choose from {', '.join(DIVISORS)}.")
    if queries_without_hit not in ("zero", "left out"):
        raise ValueError(f"queries_without_hit={queries_without_hit!r}: choose `zero` or `left out`.")
    k = checked_k(k, distances.shape[1])
    precisions, hits, recalls = [], [], []
    for groups in tie_groups(distances, relevance, k, ties=ties, seed=seed, memory=memory):
        precisions.append(average_precision(groups, k, divisor))
        hits.append(expected_hits(groups, torch.tensor([k])).squeeze(1))
        recalls.append(hits[-1] / groups.relevant.sum(1).clamp(min=1))
    scores, hit = torch.cat(precisions), torch.cat(hits)  # (Q,)
    kept = hit > 0 if queries_without_hit == "left out" else torch.ones_like(hit, dtype=torch.bool)
    if not kept.any():
        raise ValueError("No query finds anything relevant in the top k, so none is left to average over.")
    return Scores(
        mean_average_precision=scores[kept].mean().item(),
        average_precision=scores,
        precision=(hit / k).mean().item(),
        recall=torch.cat(recalls).mean().item(),
        k=k,
        divisor=divisor,
        ties=ties,
        seed=seed,
        queries_without_hit=queries_without_hit,
        left_out=int((~kept).sum()),
    )


def precision_recall_curve(
    distances: Distances, relevance: Relevance, *, points: int = 60, memory: int = MEMORY
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean precision and mean recall at growing k.

    At each k both are expected over the orders of tied images, then averaged over the queries. (This is the curve of
    means at fixed k, not an interpolation of each query's curve.)

    Args:
        distances, relevance, memory: as in `evaluate`.
        points: how many k, spread evenly on a logarithmic scale from 1 to N.

    Returns:
        k (P,) int64, precision (P,) and recall (P,) float64. P is below `points` where neighbouring k coincide.

    Raises:
        ValueError: fewer than two points, or as `evaluate`.

    >>> from retrieval_lib.evaluation import Euclidean
    >>> found = Euclidean(torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    >>> k, precision, recall = precision_recall_curve(found, Relevance(torch.tensor([7]), torch.tensor([7, 1, 7])))
    >>> k.tolist(), precision.tolist(), recall.tolist()
    ([1, 2, 3], [1.0, 0.5, 0.6666666666666666], [0.5, 0.5, 1.0])
    """
    if points < 2:
        raise ValueError(f"points={points}: a curve needs at least its two ends.")
    ks = torch.logspace(0, math.log10(distances.shape[1]), points, dtype=torch.float64).round().long().unique()
    precision, recall, queries = 0.0, 0.0, 0
    for groups in tie_groups(distances, relevance, distances.shape[1], memory=memory):
        hits = expected_hits(groups, ks)  # (q, P)
        precision = precision + (hits / ks).sum(0)
        recall = recall + (hits / groups.relevant.sum(1, keepdim=True).clamp(min=1)).sum(0)
        queries += len(hits)
    return ks, precision / queries, recall / queries


def checked_k(k: int | None, database: int) -> int:
    """How many places of a ranking are judged: k, at most all; None for all.

    Raises:
        ValueError: k is below 1.
    """
    if k is not None and k < 1:
        raise ValueError(f"k={k}: a ranking has at least one place.")
    return database if k is None else min(k, database)


def block_size(database: int, k: int, counted: bool, memory: int) -> int:
    """How many queries are judged at a time: as many as the memory holds, at least one."""
    return max(1, memory // (database * (BYTES_COUNTED if counted else BYTES_SORTED) + k * BYTES_JUDGED))


def tie_groups(
    distances: Distances, relevance: Relevance, k: int, *, ties: str = "expected", seed: int = 0, memory: int = MEMORY
) -> Iterator[TieGroups]:
    """The groups of tied images, a block of queries at a time; the order of the first k places is told.

    Raises:
        ValueError: as `evaluate`.
    """
    if ties not in ("expected", "seeded"):
        raise ValueError(f"ties={ties!r}: choose `expected` or `seeded`.")
    if tuple(distances.shape) != tuple(relevance.shape):
        raise ValueError(f"distances are {tuple(distances.shape)} but labels are for {tuple(relevance.shape)}.")
    queries, database = distances.shape
    if queries == 0:
        raise ValueError("There are no queries; nothing can be judged.")
    order = torch.randperm(database, generator=torch.Generator().manual_seed(seed))
    counted = ties == "expected" and distances.levels is not None
    size = block_size(database, k, counted, memory)
    line = ProgressLine("Judging queries", queries, seconds_between=2.0)
    try:
        for start in range(0, queries, size):
            line.update(start)
            stop = min(start + size, queries)
            block, relevant = check_finite(distances.block(start, stop)), relevance.block(start, stop)
            if ties == "seeded":
                yield ordered(block, relevant, order, k)
            elif counted:
                yield group_levels(block, relevant, distances.levels)
            else:
                yield group_sorted(block, relevant, k)
    finally:
        line.close()
