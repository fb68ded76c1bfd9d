"""How good random hyperplanes are on plain pixels, by the number of bits; beside it the searches they approximate."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import normalize

from retrieval_lib.data import ImageSet, protocol_for
from retrieval_lib.evaluation import Distances, Euclidean, Hamming, InnerProduct, Relevance
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.hashing import fit_lsh

BITS = (16, 32, 64, 128, 256, 512)
SEEDS = range(5)


def cells(profile: str, images: ImageSet) -> list[Cell]:
    """Two exact searches, then every number of bits under every seed."""
    protocol = "cifar10-10k-50k" if images.name == "cifar10" else protocol_for(images, "supervised", profile)
    exact = [Cell("exact", variant, protocol) for variant in ("Euclidean", "cosine, centred")]
    return exact + [Cell("LSH", "centred", protocol, bits, seed) for bits in BITS for seed in SEEDS]


def run(job: Job) -> Sequence[Value]:
    """Encode all images by one draw of hyperplanes (or none), and judge the search."""
    search = job.split.searches["test"]
    labels = job.images.labels
    query, database = (pixel_descriptors(job.images, part) for part in (search.query, search.database))
    return judge(_distances(job.cell, query, database), Relevance(labels[search.query], labels[search.database]))


def pixel_descriptors(images: ImageSet, positions: Tensor) -> Tensor:
    """The pixels of images at (n,) positions as descriptors, (n, C · H · W) between 0 and 1."""
    return images.images[positions].flatten(1).float() / 255


def _distances(cell: Cell, query: Tensor, database: Tensor) -> Distances:
    if cell.method == "LSH":
        code = fit_lsh(database, cell.bits, cell.seed)
        return Hamming(code.encode(query), code.encode(database))
    if cell.variant == "Euclidean":
        return Euclidean(query, database)
    mean = database.mean(0)  # LSH estimates angles around it: with ever more bits it becomes this search
    return InnerProduct(normalize(query - mean, dim=1), normalize(database - mean, dim=1))


LSH_PIXELS = Grid(
    name="lsh-pixels",
    title="Random hyperplanes on pixels: mAP@1000 by the number of bits, five draws each, and exact search",
    kind="general",
    cells=cells,
    run=run,
    seconds=90,
    repeatable=True,
)
