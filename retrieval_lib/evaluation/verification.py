"""Are two images of the same person? Distances of genuine and impostor pairs, ROC, equal error rate, thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_curve
from torch import Tensor

from retrieval_lib.evaluation.distances import Distances, check_finite
from retrieval_lib.evaluation.evaluate import MEMORY, block_size
from retrieval_lib.evaluation.relevance import Relevance


@dataclass(frozen=True, eq=False)
class ROC:
    """The two kinds of errors at every threshold; a pair is accepted if its distance is at most the threshold.

    Attributes:
        thresholds: (T,) float64, rising; the first is -inf, at which nothing is accepted.
        false_accept: (T,) float64, the share of impostor pairs that are accepted.
        true_accept: (T,) float64, the share of genuine pairs that are accepted.
    """

    thresholds: Tensor
    false_accept: Tensor
    true_accept: Tensor

    @property
    def false_reject(self) -> Tensor:
        """(T,), the share of genuine pairs that are not accepted."""
        return 1 - self.true_accept


@dataclass(frozen=True)
class EqualError:
    """Where both errors are equal.

    Attributes:
        rate: of both errors; between two thresholds on the straight line that joins them.
        threshold: the distance at which the two errors differ least, the smaller of two.
    """

    rate: float
    threshold: float


def query_blocks(distances: Distances, memory: int = MEMORY) -> Iterator[tuple[int, int, Tensor]]:
    """Start, stop and distances (stop - start, N) of as many queries at a time as the memory holds.

    Raises:
        ValueError: there are no queries, or a distance is NaN.
    """
    queries, database = distances.shape
    if queries == 0:
        raise ValueError("There are no queries; nothing can be judged.")
    size = block_size(database, 0, True, memory)
    for start in range(0, queries, size):
        stop = min(start + size, queries)
        yield start, stop, check_finite(distances.block(start, stop))


def genuine_and_impostor(distances: Distances, relevance: Relevance) -> tuple[Tensor, Tensor]:
    """Distances of all pairs of a query and a database image, by whether they show the same person.

    All Q N distances are held at once. The pairs of a query are not independent: an interval is drawn over people or
    seeds, not over pairs.

    Args:
        distances: of Q queries to N database images, none of which is a query.
        relevance: which of them show the same person.

    Returns:
        (G,) distances of genuine pairs and (I,) of impostor pairs, G + I = Q N.

    Raises:
        ValueError: shapes that differ, no queries, or a NaN distance.

    >>> from retrieval_lib.evaluation import Euclidean
    >>> found = Euclidean(torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    >>> genuine_and_impostor(found, Relevance(torch.tensor([7]), torch.tensor([7, 1, 7])))
    (tensor([1., 9.]), tensor([4.]))
    """
    if tuple(distances.shape) != tuple(relevance.shape):
        raise ValueError(f"distances are {tuple(distances.shape)} but labels are for {tuple(relevance.shape)}.")
    genuine, impostor = [], []
    for start, stop, block in query_blocks(distances):
        same = relevance.block(start, stop)
        genuine.append(block[same])
        impostor.append(block[~same])
    return torch.cat(genuine), torch.cat(impostor)


def roc(genuine: Tensor, impostor: Tensor) -> ROC:
    """Both errors at every distance that occurs (scikit-learn's `roc_curve`, no point left out).

    Args:
        genuine: (G,) distances of pairs of one person.
        impostor: (I,) distances of pairs of two people.

    Raises:
        ValueError: there are no pairs of one of the two kinds.

    >>> curve = roc(torch.tensor([1, 2]), torch.tensor([2, 3]))
    >>> curve.thresholds.tolist(), curve.false_accept.tolist(), curve.true_accept.tolist()
    ([-inf, 1.0, 2.0, 3.0], [0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    if genuine.ndim != 1 or impostor.ndim != 1 or not len(genuine) or not len(impostor):
        raise ValueError(
            f"There are genuine pairs of shape {tuple(genuine.shape)} and impostor pairs of shape "
            f"{tuple(impostor.shape)}; a curve needs some of each, (G,) and (I,)."
        )
    same = np.repeat([1, 0], [len(genuine), len(impostor)])
    nearness = -torch.cat([genuine.double(), impostor.double()]).numpy()
    false_accept, true_accept, thresholds = roc_curve(same, nearness, drop_intermediate=False)
    return ROC(*(torch.from_numpy(values.astype(np.float64)) for values in (-thresholds, false_accept, true_accept)))


def equal_error(curve: ROC) -> EqualError:
    """The equal error rate, and the threshold that comes nearest to it.

    >>> equal_error(roc(torch.tensor([1, 2]), torch.tensor([2, 3])))
    EqualError(rate=0.25, threshold=1.0)
    """
    excess = curve.false_accept - curve.false_reject  # (T,), rises from -1 to 1
    after = int((excess >= 0).nonzero()[0])
    before = after - 1
    share = float(excess[before] / (excess[before] - excess[after]))
    rate = float(torch.lerp(curve.false_accept[before], curve.false_accept[after], share))
    return EqualError(rate, float(curve.thresholds[excess.abs().argmin()]))


def threshold_at(thresholds: Tensor, false_rate: Tensor, at_most: float) -> float:
    """The largest threshold at which an error is no more frequent than wanted; -inf: only one that accepts nothing.

    Args:
        thresholds: (T,) rising, as a curve has them.
        false_rate: (T,) how frequent the error is at each.
        at_most: how frequent it may be, from 0 to 1.

    Raises:
        ValueError: `at_most` is no share.

    >>> curve = roc(torch.tensor([1, 2]), torch.tensor([2, 3]))
    >>> threshold_at(curve.thresholds, curve.false_accept, 0.5)
    2.0
    """
    if not 0 <= at_most <= 1:
        raise ValueError(f"at_most={at_most}: give a share from 0 to 1.")
    return float(thresholds[false_rate <= at_most].max())
