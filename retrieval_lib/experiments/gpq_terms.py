"""Each term of GPQ left out, and the conditions in which unlabelled images may help; recorded, with signs of collapse."""

from collections.abc import Sequence

import torch
from torch import Tensor

from retrieval_lib.data import ImageSet
from retrieval_lib.evaluation import Euclidean
from retrieval_lib.experiments.gpq import SHORT, label_counts, protocol, trained
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import described_search
from retrieval_lib.methods.gpq import GPQ
from retrieval_lib.methods.gpq_losses import prototype_logits
from retrieval_lib.quantization import codeword_usage, intra_normalize, perplexity

# What each variant changes: settings of the method, or how many times the steps. A step without unlabelled images sees
# half as many images, so that twice the steps make equal views. Unchanged GPQ and labels alone are scored in `gpq-labels`;
# unchanged GPQ, and without entropy, are trained again here for the signs of collapse and the score without a code.
LEFT_OUT: dict[str, dict] = {
    "without N-pair": {"pairs": 0.0},
    # the classification keeps a tenth of the weight otherwise, and the optimizer does not see a common factor
    "without N-pair, classification in full": {"pairs": 0.0, "classification": 1.0},
    "without classification": {"classification": 0.0},
    "without entropy": {"entropy": 0.0},
    # without classification the entropy's classifier is tied to no class; so both are left out, too
    "N-pair alone": {"classification": 0.0, "entropy": 0.0},
}
# An entropy that grows while the learning rate falls has about a third of the constant one's weight in all:
# "entropy x 0.3" is its control.
CONDITIONS: dict[str, dict] = {
    "GPQ": {},
    "entropy x 0.3": {"entropy": 0.03},
    "entropy that grows": {"ramp": 1.0},
    "entropy without the game": {"minimax": False},
    "stronger views": {"view": "cropped"},
    "stronger views, labels alone": {"view": "cropped", "entropy": 0.0, "longer": 2},
    "stronger views, labels alone, equal steps": {"view": "cropped", "entropy": 0.0},
    "three times as long": {"longer": 3},
    "three times as long, labels alone": {"entropy": 0.0, "longer": 6},
    "three times as long, labels alone, equal steps": {"entropy": 0.0, "longer": 3},
}
LABELS = (5000, 500)
LOOKED_INTO = 10_000  # database images that the signs of collapse are taken from


def signs_of_collapse(method: GPQ, descriptors: Tensor) -> list[Value]:
    """How sure the cosine classifier is of images, whether it says one class of all, and how codewords are used.

    Args:
        method: in any state.
        descriptors: (N, M · d) of images that were learned from without their labels.

    Returns:
        The mean entropy of the class probabilities, the entropy of the mean probabilities (both in nats), and the
        perplexity of the codes, mean and least over the codebooks.
    """
    with torch.no_grad():
        parts = descriptors.unflatten(1, (len(method.codebooks), -1))  # (N, M, d)
        prototypes = intra_normalize(method.prototypes).float().cpu()  # (M, classes, d)
        sure = prototype_logits(parts, prototypes, method.settings.scale).softmax(1)  # (N, classes)
        codes = method.encode(descriptors)
    by_book = perplexity(codeword_usage(codes, method.settings.codewords))  # (M,)
    return [
        Value(float(torch.special.entr(sure).sum(1).mean()), "entropy", "unlabelled"),
        Value(float(torch.special.entr(sure.mean(0)).sum()), "entropy of the mean", "unlabelled"),
        Value(float(by_book.mean()), "perplexity, mean over codebooks", "unlabelled"),
        Value(float(by_book.min()), "perplexity, least codebook", "unlabelled"),
    ]


def _run(job: Job) -> Sequence[Value]:
    method = trained(job, SHORT)
    query, database, relevance = described_search(method, job.images, job.split.searches["test"])
    rules = {"k": None, "divisors": ("retrieved",), "ties": ("expected",)}
    found = judge(method.distances(query, method.encode(database)), relevance, **rules)
    (without,) = judge(Euclidean(query, database), relevance, **rules)
    beside = Value(without.value, "mAP without a code", "test", None, "retrieved", "expected")
    return [*found, beside, *signs_of_collapse(method, database[:LOOKED_INTO])]


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    many, few = sorted(label_counts(profile, images, LABELS), reverse=True)
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", name, drawn, 48, seed, settings=changes, split_settings={"labels": labels})
        for labels, tried in ((many, LEFT_OUT | CONDITIONS), (few, CONDITIONS))
        for seed in range(3)
        for name, changes in tried.items()
    ]


GPQ_TERMS = Grid(
    "gpq-terms",
    "GPQ with its terms, views and length changed one at a time: 5,000 and 500 labels, 48 bits, three seeds",
    "general", _cells, _run, 150, repeatable=False,
)  # fmt: skip
