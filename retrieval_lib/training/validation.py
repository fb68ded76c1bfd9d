"""How good a method is while it is trained, judged on the validation part, never on the test queries."""

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet, Search
from retrieval_lib.evaluation import Relevance, evaluate
from retrieval_lib.methods.base import Method, describe

LARGEST_DATABASE = 5_000  # images; more take longer to encode than they add to the score's precision


def validation_score(
    method: Method, images: ImageSet, search: Search, k: int = 1000, largest: int = LARGEST_DATABASE
) -> float:
    """mAP@k, tie-aware, of the validation queries.

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
    return search_score(method, images, Search(search.query, database), k)


def search_score(method: Method, images: ImageSet, search: Search, k: int | None) -> float:
    """mAP@k, tie-aware, divisor `retrieved`, of any search."""
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    distances = method.distances(query, method.encode(database))
    return evaluate(distances, relevance, k=k).mean_average_precision


def snapshot_points(images: ImageSet, search: Search, count: int) -> Tensor:
    """Positions of the images that every snapshot of a run shows: the first of the validation queries."""
    return search.query[:count]
