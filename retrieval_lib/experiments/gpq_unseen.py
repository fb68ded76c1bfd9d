"""GPQ on categories that no training saw: three of ten are left out, labels and images, and search among themselves.

The paper has such a protocol, known only by name; this one is ours.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from retrieval_lib.data import ImageSet, Search, Split
from retrieval_lib.evaluation import ADC, Relevance
from retrieval_lib.experiments.budgets import budget_for
from retrieval_lib.experiments.gpq import SHORT, build, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.gpq import GPQSettings
from retrieval_lib.quantization import fit_pq
from retrieval_lib.training import train

LEFT_OUT = 3  # categories
VARIANTS: dict[str, dict] = {"GPQ": {}, "labels alone": {"entropy": 0.0}}
BASELINE = "PQ on pixels"


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
    count = len(images.class_names)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    renamed = order.argsort()[images.labels]  # (N,): the category order[i] becomes i
    kept = count - LEFT_OUT
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
    cell = job.cell
    images, split = without_categories(job.images, job.split, cell.seed)
    if cell.method == BASELINE:
        pixels, books = images.images.flatten(1).float() / 255, cell.bits // 4
        pixels = torch.nn.functional.pad(pixels, (0, -pixels.shape[1] % books))  # zeros change no distance
        quantizer = fit_pq(pixels[split.train], books, 16, cell.seed)
        return _judged(
            images, split, lambda p: pixels[p], lambda q, x: ADC(quantizer.look_up_tables(q), quantizer.encode(x))
        )
    wanted = budget_for(job.profile, SHORT)
    chosen = replace(wanted, batch_size=min(wanted.batch_size, len(split.train)))  # of the tiny profile
    method = build(images, split, chosen, GPQSettings(bits=cell.bits, **cell.settings), cell.seed)
    searched = replace(split, searches={"test": split.searches["seen"]})
    train(method, images, searched, chosen.training(cell.seed), snapshot_count=10)
    return _judged(
        images, split, lambda p: describe(method, images.images[p]), lambda q, x: method.distances(q, method.encode(x))
    )


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
    cells = []
    for seed in range(3):
        cells += [Cell("GPQ", name, drawn, 48, seed, settings=changes) for name, changes in VARIANTS.items()]
        cells.append(Cell(BASELINE, BASELINE, drawn, 48, seed))
    return cells


GPQ_UNSEEN = Grid(
    "gpq-unseen",
    "GPQ, labels alone and PQ on pixels on three categories left out of the training: 48 bits, three draws",
    "general", _cells, _run, 110, repeatable=False,
)  # fmt: skip
