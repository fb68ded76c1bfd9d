"""How recorded trainings are judged, where several methods are judged alike."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet, Search, Split
from retrieval_lib.evaluation import Relevance, evaluate
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import Method, describe, described_search
from retrieval_lib.quantization import codeword_usage, dead_codewords, perplexity
from retrieval_lib.training import History

Describe = Callable[[Tensor], Tensor]


def judge_method(
    method: Method,
    images: ImageSet,
    search: Search,
    name: str,
    *,
    k: int | None = 1000,
    divisors: Sequence[str] = ("retrieved", "min(k, R)"),
    ties: Sequence[str] = ("expected", "seeded"),
) -> list[Value]:
    """What a search with a method's codes finds.

    Args:
        method: in any state.
        images: the data set.
        search: queries and database.
        name: of the search, for the values.
        k, divisors, ties: as in `judge`.
    """
    query, database, relevance = described_search(method, images, search)
    distances = method.distances(query, method.encode(database))
    return judge(distances, relevance, search=name, k=k, divisors=divisors, ties=ties)


def codeword_use(history: History) -> list[dict]:
    """By step, how the codewords were used for the images of the snapshots: what a checkpoint keeps of them.

    Returns:
        For each snapshot `step`; `perplexity`, a list with each codebook's; and `unused`, how many codewords of all
        codebooks stand for no image. Empty for a method without codebooks.
    """
    told = []
    for moment in history.snapshots:
        if moment.codes is not None:
            used = codeword_usage(moment.codes, moment.codebooks.shape[1])  # (M, K)
            by_book = [round(value, 4) for value in perplexity(used).tolist()]
            told.append({"step": moment.step, "perplexity": by_book, "unused": int(dead_codewords(used).sum())})
    return told


def validated(history: History) -> Value:
    """The last validation score of a run, as the loop takes it."""
    return Value(history.scores[-1], "mAP", "validation", 1000, "retrieved", "expected")


def held_out(method: Method, images: ImageSet, split: Split, described: Describe | None = None) -> Value:
    """What trials are judged by: `among_held_out` of the validation queries. No setting is chosen on the test queries.

    Args:
        method, images: as in `among_held_out`.
        split: has a validation part.
        described: as in `among_held_out`.
    """
    score = among_held_out(method, images, split.searches["validation"].query, described)
    return Value(score, "mAP", "held out", None, "retrieved", "expected")


def among_held_out(method: Method, images: ImageSet, positions: Tensor, described: Describe | None = None) -> float:
    """mAP over the whole ranking of held-out images that search each other: each half the other, both averaged.

    The loop's own validation score searches the labelled images, which were trained on. The test database has images
    whose labels no training saw, and so has this.

    Args:
        method: in any state.
        images: the data set.
        positions: (n,) of the held-out images, sorted or not; they are shuffled by a fixed seed.
        described: gives the descriptors (m, D) of images at (m,) positions; None describes the images themselves.
    """
    described = described or (lambda part: describe(method, images.images[part]))
    order = torch.randperm(len(positions), generator=torch.Generator().manual_seed(0))
    halves = [positions[part] for part in order.chunk(2)]
    descriptors = [described(part) for part in halves]
    scores = []
    for query, database in ((0, 1), (1, 0)):
        relevance = Relevance(images.labels[halves[query]], images.labels[halves[database]])
        distances = method.distances(descriptors[query], method.encode(descriptors[database]))
        scores.append(evaluate(distances, relevance, k=None).mean_average_precision)
    return sum(scores) / 2
