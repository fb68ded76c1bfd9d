"""Means with their intervals, and how far two runs may be apart.

"Spread" in this book is the 95 % t-interval of the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch import Tensor

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and the 95 % interval around it."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def mean_interval(values: Sequence[float] | Tensor) -> Interval:
    """Mean of independent values (seeds, queries) with its 95 % t-interval.

    Raises:
        ValueError: fewer than two values, which have no spread.

    >>> print(mean_interval([1.0, 2.0, 3.0]))
    2.000 (-0.484 to 4.484)
    """
    array = _sample(values)
    mean, half = float(array.mean()), float(_deviation(array) / len(array) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def repeatability_limit(values: Sequence[float] | Tensor) -> float:
    """By how much two single runs may differ: t · s · √2, which 95 % of such differences stay below.

    s is the standard deviation of the values and t Student's quantile for one degree of freedom less than there are
    values. For many values it is the 2.8 · s of ISO 5725-6. A single run is not a mean: of five values, 43 % of the
    differences are larger than half the width of the mean's interval.

    Args:
        values: of independent runs that differ by the seed alone.

    Raises:
        ValueError: fewer than two values, which have no spread.

    >>> round(repeatability_limit([1.0, 2.0, 3.0]), 3)
    6.085
    """
    return float(_deviation(_sample(values)) * 2**0.5)


def _sample(values: Sequence[float] | Tensor) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"values has shape {array.shape}; give at least two values in one row.")
    return array


def _deviation(array: np.ndarray) -> float:
    """t · s of (n,) values."""
    return stats.t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1)


def paired_difference(first: Sequence[float] | Tensor, second: Sequence[float] | Tensor) -> Interval:
    """Mean of first - second, value by value (same seed, same query), with its 95 % t-interval.

    Raises:
        ValueError: the two have different lengths.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"Paired values must match: there are {a.shape} and {b.shape}.")
    return mean_interval(a - b)
