"""GPQ on categories that no training saw: three of ten are left out, labels and images, and search among themselves.

The paper has such a protocol, known only by name; this one is ours.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet, Search, Split
from retrieval_lib.evaluation import ADC, Relevance
from retrieval_lib.experiments.budgets import budget_for
from retrieval_lib.experiments.gpq import SHORT, build, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.shallow_codes import padded
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.quantization import fit_pq
from retrieval_lib.training import train

LEFT_OUT = 3  # categories
# What is trained, by name: how many times the steps, and changed settings. At twice the steps labels alone see as many
# images. The last one learns all categories, labels and images: what can be reached.
ALL_LEARNED = "GPQ, all categories learned"
TRAINED: dict[str, tuple[int, dict]] = {
    "GPQ": (1, {}),
    "labels alone, equal views": (2, {"entropy": 0.0}),
    ALL_LEARNED: (1, {}),
}
FITTED = ("PQ on pixels", "PQ on an untrained network")  # what is found without a label
FITTED_ON = 10_000  # images, labelled and unlabelled


def drawn_categories(count: int, seed: int) -> Tensor:
    """The categories in an order drawn by the seed, (count,) int64; the last `LEFT_OUT` are left out."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def without_categories(images: ImageSet, split: Split, seed: int) -> tuple[ImageSet, Split]:
    """Leave out `LEFT_OUT` categories, drawn by the seed, of the training; they search among themselves.

    Args:
        images: the data set, one label an image.
        split: a semi-supervised one.
        seed: of the draw of the categories.

    Returns:
        The images with their labels numbered anew, so that the categories left out come last and have no name (a
        method that is built for the named ones has no prototype for them); and the split, whose labelled and unlabelled
        images are of the others, and whose searches are `seen` and `unseen`, each among its own categories.
    """
    order = drawn_categories(len(images.class_names), seed)
    renamed = order.argsort()[images.labels]  # (N,): the category order[i] becomes i
    kept = len(order) - LEFT_OUT
    names = tuple(images.class_names[c] for c in order[:kept].tolist())
    seen = renamed < kept
    test = split.searches["test"]
    searches = {
        name: Search(test.query[mask[test.query]], test.database[mask[test.database]])
        for name, mask in (("seen", seen), ("unseen", ~seen))
    }
    fewer = replace(
        split, train=split.train[seen[split.train]], unlabelled=split.unlabelled[seen[split.unlabelled]],
        searches=searches,
    )  # fmt: skip
    return replace(images, labels=renamed, class_names=names), fewer


def _run(job: Job) -> Sequence[Value]:
    images, split = without_categories(job.images, job.split, job.cell.seed)
    if job.cell.variant in FITTED:
        described, compared = _fitted(job, images, split)
    else:
        method = _trained(job, images, split)
        described = partial(_descriptors, method, images)
        compared = lambda query, database: method.distances(query, method.encode(database))  # noqa: E731
    return _judged(images, split, described, compared)


def _trained(job: Job, images: ImageSet, split: Split) -> GPQ:
    cell = job.cell
    longer, changes = TRAINED[cell.variant]
    chosen = budget_for(job.profile, SHORT)
    chosen = replace(chosen, steps=chosen.steps * longer)
    if cell.variant == ALL_LEARNED:
        images, split = job.images, job.split
    else:
        split = replace(split, searches={"test": split.searches["seen"]})  # the loop's own score has all labels
    method = build(images, split, chosen, GPQSettings(bits=cell.bits, **changes), cell.seed)
    train(method, images, split, chosen.training(cell.seed, split), snapshot_count=10)
    return method


def _fitted(job: Job, images: ImageSet, split: Split):
    """What gives descriptors, and what compares them: PQ, fitted to images that a training would learn from."""
    cell = job.cell
    books = cell.bits // 4
    if cell.variant == "PQ on pixels":
        pixels = padded(images.images.flatten(1).float() / 255, books)
        described = pixels.__getitem__
    else:
        untrained = build(images, split, budget_for(job.profile, SHORT), GPQSettings(bits=cell.bits), cell.seed)
        described = partial(_descriptors, untrained, images)
    learned_from = torch.cat([split.train, split.unlabelled])
    order = torch.randperm(len(learned_from), generator=torch.Generator().manual_seed(cell.seed))
    quantizer = fit_pq(described(learned_from[order[:FITTED_ON]]), books, 16, cell.seed)
    return described, lambda query, database: ADC(quantizer.look_up_tables(query), quantizer.encode(database))


def _descriptors(method: GPQ, images: ImageSet, positions: Tensor) -> Tensor:
    return describe(method, images.images[positions])


def _judged(images: ImageSet, split: Split, described, compared) -> list[Value]:
    """mAP over the whole ranking of both searches, tie-aware."""
    values = []
    for name, search in split.searches.items():
        distances = compared(described(search.query), described(search.database))
        relevance = Relevance(images.labels[search.query], images.labels[search.database])
        values += judge(distances, relevance, search=name, k=None, divisors=("retrieved",), ties=("expected",))
    return values


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ" if name in TRAINED else "PQ", name, drawn, 48, seed)
        for seed in range(3)
        for name in (*TRAINED, *FITTED)
    ]


GPQ_UNSEEN = Grid(
    "gpq-unseen",
    "Three categories left out of the training: GPQ, labels alone, PQ without labels; 48 bits, three draws",
    "general", _cells, _run, 110, repeatable=False,
)  # fmt: skip
