"""How good a search is: mAP@k with named divisors, aware of ties, in memory that stays bounded; and whose face it is."""

from retrieval_lib.evaluation.average_precision import DIVISORS, average_precision
from retrieval_lib.evaluation.distances import ADC, Distances, Euclidean, Hamming, InnerProduct
from retrieval_lib.evaluation.evaluate import Scores, evaluate, precision_recall_curve
from retrieval_lib.evaluation.open_set import NOBODY, OpenSetCurve, identify, open_set_curve
from retrieval_lib.evaluation.relevance import Relevance
from retrieval_lib.evaluation.statistics import Interval, mean_interval, paired_difference, repeatability_limit
from retrieval_lib.evaluation.tie_groups import TieGroups
from retrieval_lib.evaluation.verification import (
    ROC,
    EqualError,
    equal_error,
    genuine_and_impostor,
    roc,
    threshold_at,
)

__all__ = [
    "ADC",
    "DIVISORS",
    "NOBODY",
    "ROC",
    "Distances",
    "EqualError",
    "Euclidean",
    "Hamming",
    "InnerProduct",
    "Interval",
    "OpenSetCurve",
    "Relevance",
    "Scores",
    "TieGroups",
    "average_precision",
    "equal_error",
    "evaluate",
    "genuine_and_impostor",
    "identify",
    "mean_interval",
    "open_set_curve",
    "paired_difference",
    "precision_recall_curve",
    "repeatability_limit",
    "roc",
    "threshold_at",
]
