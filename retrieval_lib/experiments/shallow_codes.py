"""Codes fitted without a network's training: LSH, PCA hashing, ITQ, PQ and OPQ, on pixels and pretrained features."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from retrieval_lib.backbones import cached_features, load_backbone
from retrieval_lib.data import ImageSet, protocol_for
from retrieval_lib.evaluation import ADC, Distances, Euclidean, Hamming, Relevance
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.lsh_pixels import pixel_descriptors
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.hashing import LinearHash, fit_itq, fit_lsh, fit_pca
from retrieval_lib.quantization import fit_opq, fit_pq

BITS = (16, 32, 64, 128)
SEEDS = range(5)
DESCRIPTORS = ("pixels", "pretrained")
FITTED_ON = 10_000  # images, drawn anew for each seed
REDUCED = 256  # principal directions that OPQ turns
SIDE = 96  # pixels that the pretrained network sees

HASHES = {
    "LSH": lambda x, bits, seed: fit_lsh(x, bits, seed),
    "PCAH": lambda x, bits, seed: fit_pca(x, bits),
    "ITQ": lambda x, bits, seed: fit_itq(x, bits, seed),
}
METHODS = (*HASHES, "PQ", "PQ, 256 codewords", "OPQ")
# On the largest protocol, which methods with which lengths; the pages set trained codes of 32 bits beside them.
LARGE = {
    "pixels": {"LSH": (16, 32, 64), "ITQ": (16, 32, 64), "PQ": (16, 32, 64), "OPQ": (32,)},
    "pretrained": {"PQ": (32,), "OPQ": (32,)},
}


def cells(profile: str, images: ImageSet) -> list[Cell]:
    """Exact search and every method with every length, on both descriptors, under every seed."""
    protocol = protocol_for(images, "supervised", "quick" if profile == "quick" else "book")
    made = []
    for descriptor in DESCRIPTORS:
        for method, lengths in (("exact", (None,)), *((m, BITS) for m in METHODS)):
            for bits in lengths:
                made += [Cell(method, descriptor, protocol, bits, seed) for seed in SEEDS]
    return made


def large_cells(profile: str, images: ImageSet) -> list[Cell]:
    """The methods that trained codes are compared with, on the largest protocol, three seeds."""
    protocol = protocol_for(images, "supervised", "quick" if profile == "quick" else "full")
    return [
        Cell(method, descriptor, protocol, bits, seed)
        for descriptor, methods in LARGE.items()
        for method, lengths in methods.items()
        for bits in lengths
        for seed in range(3)
    ]


def run(job: Job) -> Sequence[Value]:
    """Fit on the seed's training images, encode queries and database, and judge the search."""
    search, labels = job.split.searches["test"], job.images.labels
    generator = torch.Generator().manual_seed(job.cell.seed)
    fitted_on = job.split.train[torch.randperm(len(job.split.train), generator=generator)[:FITTED_ON]]
    describe = pixel_descriptors if job.cell.variant == "pixels" else _pretrained
    train, query, database = (describe(job.images, part) for part in (fitted_on, search.query, search.database))
    mean = train.mean(0)
    train, query, database = (normalize(part - mean, dim=1) for part in (train, query, database))
    distances = distances_by(job.cell.method, job.cell.bits, job.cell.seed, train, query, database)
    return judge(distances, Relevance(labels[search.query], labels[search.database]))


def distances_by(method: str, bits: int | None, seed: int, train: Tensor, query: Tensor, database: Tensor) -> Distances:
    """Distances by one method.

    Args:
        method: `exact`, or one of `METHODS`.
        bits: length of the code; None for `exact`.
        seed: of what the method draws.
        train, query, database: descriptors (n, D), (Q, D) and (N, D).

    Raises:
        ValueError: as the method's own function.
    """
    if method == "exact":
        return Euclidean(query, database)
    if method in HASHES:
        code = HASHES[method](train, bits, seed)
        return Hamming(code.encode(query), code.encode(database))
    if method == "OPQ":
        reduce = reduction(train)
        train, query, database = (reduce.project(part) for part in (train, query, database))
    books, words = (bits // 8, 256) if method == "PQ, 256 codewords" else (bits // 4, 16)
    train, query, database = (padded(part, books) for part in (train, query, database))
    quantizer = (fit_opq if method == "OPQ" else fit_pq)(train, books, words, seed)
    return ADC(quantizer.look_up_tables(query), quantizer.encode(database))


def padded(descriptors: Tensor, parts: int) -> Tensor:
    """(n, D) with zeros at the end, so that they can be cut into equal parts; zeros change no distance."""
    return pad(descriptors, (0, -descriptors.shape[1] % parts))


def reduction(train: Tensor) -> LinearHash:
    """The principal directions that OPQ turns: `project` brings (n, D) to (n, 256)."""
    return fit_pca(train, min(REDUCED, train.shape[1]))


def _pretrained(images: ImageSet, indices: Tensor) -> Tensor:
    backbone = load_backbone("efficientnet-lite0", channels=images.images.shape[1], size=SIDE)
    return cached_features(images, backbone).at(indices)  # (n, 1280)


SHALLOW_CODES = Grid(
    name="shallow-codes",
    title="LSH, PCA hashing, ITQ, PQ and OPQ on pixels and pretrained features: mAP@1000 by bits, five seeds",
    kind="general",
    cells=cells,
    run=run,
    seconds=10,
    repeatable=False,
)
SHALLOW_LARGE = Grid(
    name="shallow-large",
    title="LSH, ITQ, PQ and OPQ on pixels, PQ and OPQ on pretrained features: the largest protocol, three seeds",
    kind="general",
    cells=large_cells,
    run=run,
    seconds=30,
    repeatable=False,
)
