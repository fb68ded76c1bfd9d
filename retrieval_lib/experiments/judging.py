"""How recorded trainings are judged, where several methods are judged alike."""

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet
from retrieval_lib.evaluation import Relevance, evaluate
from retrieval_lib.methods.base import Method, describe


def among_held_out(method: Method, images: ImageSet, positions: Tensor) -> float:
    """mAP over the whole ranking of held-out images that search each other: each half the other, both averaged.

    The loop's own validation score searches the labelled images, which were trained on. The test database has images
    whose labels no training saw, and so has this.

    Args:
        method: in any state.
        images: the data set.
        positions: (n,) of the held-out images, sorted or not; they are shuffled by a fixed seed.
    """
    order = torch.randperm(len(positions), generator=torch.Generator().manual_seed(0))
    halves = [positions[part] for part in order.chunk(2)]
    described = [describe(method, images.images[part]) for part in halves]
    scores = []
    for query, database in ((0, 1), (1, 0)):
        relevance = Relevance(images.labels[halves[query]], images.labels[halves[database]])
        distances = method.distances(described[query], method.encode(described[database]))
        scores.append(evaluate(distances, relevance, k=None).mean_average_precision)
    return sum(scores) / 2
