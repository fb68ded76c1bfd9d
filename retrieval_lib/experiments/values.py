"""A recorded value and its full name; and the values that every search is judged by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from retrieval_lib.evaluation import Distances, Relevance, average_precision
from retrieval_lib.evaluation.evaluate import checked_k, tie_groups


@dataclass(frozen=True)
class Value:
    """One number with all that must be said with it.

    Attributes:
        value: the number.
        metric: its name without what follows.
        search: of the split, for instance `test`; None where nothing was searched.
        k: length of the judged ranking; None for all of it, or where there is no ranking.
        divisor, ties: as in `retrieval_lib.evaluation.evaluate`; None where they mean nothing.
    """

    value: float
    metric: str
    search: str | None = None
    k: int | None = None
    divisor: str | None = None
    ties: str | None = None

    @property
    def name(self) -> str:
        """What tells the value from the others of its cell.

        >>> Value(0.5, "mAP", "test", 1000, "retrieved", "expected").name
        'test: mAP@1000, divisor retrieved, ties expected'
        """
        told = self.metric if self.k is None else f"{self.metric}@{self.k}"
        told += f", divisor {self.divisor}" if self.divisor else ""
        told += f", ties {self.ties}" if self.ties else ""
        return f"{self.search}: {told}" if self.search else told


def judge(
    distances: Distances,
    relevance: Relevance,
    *,
    search: str = "test",
    k: int | None = 1000,
    divisors: Sequence[str] = ("retrieved", "min(k, R)"),
    ties: Sequence[str] = ("expected", "seeded"),
) -> list[Value]:
    """mAP@k by each divisor and each rule for ties; seeded ties are broken by the order of seed 0.

    The same numbers as `retrieval_lib.evaluation.evaluate` gives one by one, for one pass over the distances a rule.

    Raises:
        ValueError: as `evaluate`.
    """
    judged = checked_k(k, distances.shape[1])
    values = []
    for rule in ties:
        scores = {divisor: [] for divisor in divisors}
        for groups in tie_groups(distances, relevance, judged, ties=rule):
            for divisor in divisors:
                scores[divisor].append(average_precision(groups, judged, divisor))
        values += [
            Value(torch.cat(parts).mean().item(), "mAP", search, k, divisor, rule) for divisor, parts in scores.items()
        ]
    return values


def check_values(values: Sequence[Value], label: str) -> None:
    """Refuse what must not be recorded.

    Raises:
        ValueError: there are no values, one is not finite, or two have the same name.
    """
    names = [value.name for value in values]
    if not names:
        raise ValueError(f"{label}: the run gave no values; there is nothing to record.")
    if len(set(names)) < len(names):
        raise ValueError(f"{label}: two values have the same name: {', '.join(sorted(names))}.")
    for value in values:
        if not math.isfinite(value.value):
            raise ValueError(f"{label}: {value.name} is {value.value}; only finite values are recorded.")
