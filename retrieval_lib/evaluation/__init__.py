"""How good a search is: mAP@k with named divisors, aware of ties, in memory that stays bounded."""

from retrieval_lib.evaluation.average_precision import DIVISORS, average_precision
from retrieval_lib.evaluation.distances import ADC, Distances, Euclidean, Hamming, InnerProduct
from retrieval_lib.evaluation.evaluate import Scores, evaluate, precision_recall_curve
from retrieval_lib.evaluation.relevance import Relevance
from retrieval_lib.evaluation.statistics import Interval, mean_interval, paired_difference
from retrieval_lib.evaluation.tie_groups import TieGroups

__all__ = [
    "ADC",
    "DIVISORS",
    "Distances",
    "Euclidean",
    "Hamming",
    "InnerProduct",
    "Interval",
    "Relevance",
    "Scores",
    "TieGroups",
    "average_precision",
    "evaluate",
    "mean_interval",
    "paired_difference",
    "precision_recall_curve",
]
