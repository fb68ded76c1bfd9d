"""Judge a search: mAP@k, precision@k, recall@k, and the curve between them, in blocks that fit into memory."""

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
BYTES_A_DISTANCE = 64  # at the peak: the distance, its place, groups and sums


@dataclass(frozen=True)
class Scores:
    """How good a search is.

    Attributes:
        k: length of the ranking that was judged.
        divisor, ties: the named rules, see `evaluate`.
        average_precision: (Q,) float64, of each query that counts.
        precision, recall: (Q,) float64, at k.
    """

    k: int
    divisor: str
    ties: str
    average_precision: Tensor
    precision: Tensor
    recall: Tensor

    @property
    def mean_average_precision(self) -> float:
        """mAP@k."""
        return float(self.average_precision.mean())

    @property
    def metric(self) -> str:
        """The full name of the score: its k, its divisor and its rule for ties."""
        return f"mAP@{self.k}, divisor {self.divisor}, ties {self.ties}"

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
            out of all means, as HashNet's evaluation does.
        memory: bytes that may be used for a block of queries; at least one query is taken at a time.

    Raises:
        ValueError: shapes that differ, an empty database, k below 1, a name that is not known, or a NaN distance.

    >>> from retrieval_lib.evaluation import Euclidean
    >>> found = Euclidean(torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    >>> print(evaluate(found, Relevance(torch.tensor([7]), torch.tensor([7, 1, 7])), k=None))
    0.8333 (mAP@3, divisor retrieved, ties expected)
    """
    if divisor not in DIVISORS:
        raise ValueError(f"There is no divisor {divisor!r}; choose from {', '.join(DIVISORS)}.")
    if queries_without_hit not in ("zero", "left out"):
        raise ValueError(f"queries_without_hit={queries_without_hit!r}: choose `zero` or `left out`.")
    k = _checked_k(k, distances.shape[1])
    precisions, hits, totals = [], [], []
    for groups in tie_groups(distances, relevance, k, ties=ties, seed=seed, memory=memory):
        precisions.append(average_precision(groups, k, divisor))
        hits.append(expected_hits(groups, torch.tensor([k])).squeeze(1))
        totals.append(groups.relevant.sum(1))
    precision, hit, total = torch.cat(precisions), torch.cat(hits), torch.cat(totals)
    recall = hit / total.clamp(min=1)
    kept = hit > 0 if queries_without_hit == "left out" else torch.ones_like(hit, dtype=torch.bool)
    if not kept.any():
        raise ValueError("No query finds anything relevant in the top k, so none is left to average over.")
    return Scores(k, divisor, ties, precision[kept], (hit / k)[kept], recall[kept])


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
        k (P,) int64, precision (P,) and recall (P,) float64.
    """
    ks = torch.logspace(0, torch.log10(torch.tensor(float(distances.shape[1]))).item(), points).round().long().unique()
    precision, recall, queries = 0.0, 0.0, 0
    for groups in tie_groups(distances, relevance, distances.shape[1], memory=memory):
        hits = expected_hits(groups, ks)  # (q, P)
        precision = precision + (hits / ks).sum(0)
        recall = recall + (hits / groups.relevant.sum(1, keepdim=True).clamp(min=1)).sum(0)
        queries += len(hits)
    return ks, precision / queries, recall / queries


def block_size(database: int, memory: int) -> int:
    """How many queries are judged at a time."""
    return max(1, memory // (BYTES_A_DISTANCE * database))


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
    size = block_size(database, memory)
    line = ProgressLine("Judging queries", queries, seconds_between=2.0)
    try:
        for start in range(0, queries, size):
            line.update(start)
            stop = min(start + size, queries)
            block, relevant = check_finite(distances.block(start, stop)), relevance.block(start, stop)
            if ties == "seeded":
                yield ordered(block, relevant, order, k)
            elif distances.levels is not None:
                yield group_levels(block, relevant, distances.levels)
            else:
                yield group_sorted(block, relevant, k)
    finally:
        line.close()


def _checked_k(k: int | None, database: int) -> int:
    if k is not None and k < 1:
        raise ValueError(f"k={k}: a ranking has at least one place.")
    return database if k is None else min(k, database)
