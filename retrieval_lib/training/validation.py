"""How good a method is while it is trained, judged on the validation part, never on the test queries."""

import torch

from retrieval_lib.data import ImageSet, Search
from retrieval_lib.evaluation import evaluate
from retrieval_lib.methods.base import Method, described_search

LARGEST_DATABASE = 5_000  # images; more take longer to encode than they add to the score's precision


def validation_score(
    method: Method, images: ImageSet, search: Search, k: int = 1000, largest: int = LARGEST_DATABASE
) -> float:
    """mAP@k, tie-aware, divisor `retrieved`, of the validation queries.

    Args:
        method: in any state; it is judged in evaluation mode and left in its own.
        images: the data set.
        search: the split's `validation` search.
        k: length of the ranking.
        largest: at most so many images of its database are searched, drawn by a fixed seed.
    """
    database = search.database
    if len(database) > largest:
        order = torch.randperm(len(database), generator=torch.Generator().manual_seed(0))
        database = database[order[:largest]]
    query, found, relevance = described_search(method, images, Search(search.query, database))
    return evaluate(method.distances(query, method.encode(found)), relevance, k=k).mean_average_precision
