"""GPQ on the features of a pretrained network, computed once: only head, prototypes and codebooks learn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from retrieval_lib.backbones import Backbone, cached_features, load_backbone
from retrieval_lib.data import ImageSet, Search, Split
from retrieval_lib.evaluation import ADC, InnerProduct, Relevance
from retrieval_lib.experiments.gpq import label_counts, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import held_out
from retrieval_lib.experiments.shallow_codes import SIDE, padded, reduction
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.quantization import fit_opq
from retrieval_lib.training import TrainingSettings
from retrieval_lib.training.batches import step_indices, targets_of
from retrieval_lib.training.loop import learn_from, make_optimizer

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the linear probe, chosen among the labelled images held back
SCHEDULE = TrainingSettings(1500, 500, learning_rate=1e-3, weight_decay=1e-2, warm_up=75)
# Trials: dropout on the features, learning rate; chosen for each variant among the labelled images held back.
TRIALS = tuple((dropout, rate) for dropout in (0.0, 0.5, 0.8) for rate in (1e-3, 3e-3))
VARIANTS: dict[str, dict] = {"GPQ": {}, "labels alone": {"entropy": 0.0}}
CHOSEN = {
    "GPQ": {"dropout": 0.5, "learning_rate": 3e-3},
    "labels alone": {"dropout": 0.5, "learning_rate": 1e-3},
}
LABELS = (500, 5000)
FITTED_ON = 10_000  # images, labelled and unlabelled, that PQ and OPQ are fitted to


class FeatureInput(nn.Module):
    """Takes the place of a backbone: its descriptors are given.

    Args:
        dimension: D of the features.
        dropout: probability that a feature is hidden from a training step.
    """

    def __init__(self, dimension: int, dropout: float):
        super().__init__()
        self.dimension, self.dropout = dimension, nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) to (B, D)."""
        return self.dropout(features)


def standardised_features(images: ImageSet, split: Split, backbone: Backbone | None = None) -> Tensor:
    """Features of all images, (N, D): mean 0 and deviation 1 over the images that may be learned from, unlabelled too.

    Args:
        images, split: which images, and which of them may be learned from.
        backbone: whose features; None means the pretrained network's.
    """
    if backbone is None:
        backbone = load_backbone("efficientnet-lite0", channels=images.images.shape[1], size=SIDE)
    values = cached_features(images, backbone).values
    learned_from = values[torch.cat([split.train, split.unlabelled])]
    return (values - learned_from.mean(0)) / (learned_from.std(0) + 1e-6)


def train_on_features(
    method: GPQ, features: Tensor, images: ImageSet, split: Split, schedule: TrainingSettings
) -> None:
    """Train on given features; each epoch is a new order of the labelled and of the unlabelled images.

    Args:
        method: its backbone is a `FeatureInput`.
        features: (N, D) of all images.
        images: for their labels; those of `split.train` are read.
        split: the labelled and the unlabelled images.
        schedule: steps, batch size, learning rate, weight decay, and the seed of orders and dropout.

    Raises:
        TrainingDiverged: a loss term is no finite number.
    """
    optimizer, scaler = make_optimizer(method, schedule), torch.amp.GradScaler(enabled=False)
    method.train()
    for step in range(schedule.steps):
        labelled = step_indices(split.train, step, schedule)
        unlabelled = [
            features[step_indices(split.unlabelled, step, schedule, "unlabelled order")]
            for _ in method.unlabelled_views
        ]
        batch = Batch([features[labelled]], targets_of(images, labelled), unlabelled)
        learn_from(batch, method, optimizer, scaler, schedule, step)
    method.eval()


@torch.no_grad()
def describe_features(method: GPQ, features: Tensor, positions: Tensor) -> Tensor:
    """Descriptors (n, M · d) of the features (N, D) at (n,) positions: these are what images are to other methods."""
    return torch.cat([method.descriptors(part) for part in features[positions].split(4096)])


def judge_features(method: GPQ, features: Tensor, images: ImageSet, search: Search) -> list[Value]:
    """mAP over the whole ranking of the test queries, tie-aware.

    Args:
        method: trained on such features.
        features: (N, D) of all images.
        images: for their labels.
        search: queries and database.
    """
    query, database = (describe_features(method, features, part) for part in (search.query, search.database))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    distances = method.distances(query, method.encode(database))
    return judge(distances, relevance, k=None, divisors=("retrieved",), ties=("expected",))


def linear_probe(features: Tensor, images: ImageSet, split: Split) -> LogisticRegression:
    """A linear classifier of the training images, its strength chosen on the validation part.

    Args:
        features: (N, D) of all images.
        images: for their labels.
        split: its training images teach the classifier.
    """
    held_out, best = split.searches["validation"].query, (-1.0, None)
    for strength in STRENGTHS:
        probe = LogisticRegression(C=strength, max_iter=300)
        probe.fit(features[split.train].numpy(), images.labels[split.train].numpy())
        score = probe.score(features[held_out].numpy(), images.labels[held_out].numpy())
        best = max(best, (score, probe), key=lambda scored: scored[0])
    return best[1]


def judge_probe(probe: LogisticRegression, features: Tensor, images: ImageSet, split: Split) -> list[Value]:
    """How many test queries a classifier names rightly; and mAP where inner products of its probabilities search.

    Args:
        probe: as `linear_probe` gives it.
        features: (N, D) of all images.
        images: for their labels.
        split: its test queries search its database.
    """
    search = split.searches["test"]
    query, database = (
        torch.from_numpy(probe.predict_proba(features[p].numpy())) for p in (search.query, search.database)
    )
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    named = torch.from_numpy(probe.classes_)[query.argmax(1)] == images.labels[search.query]
    found = judge(
        InnerProduct(query.float(), database.float()), relevance, k=None, divisors=("retrieved",), ties=("expected",)
    )
    return [Value(float(named.float().mean()), "accuracy", "test"), *found]


def _trained(job: Job, variant: str, told: Mapping) -> tuple[GPQ, Tensor]:
    features = standardised_features(job.images, job.split)
    backbone = FeatureInput(features.shape[1], told["dropout"])
    settings = GPQSettings(bits=job.cell.bits, **VARIANTS[variant])
    method = GPQ(backbone, len(job.images.class_names), settings, job.cell.seed)
    schedule = replace(SCHEDULE, learning_rate=told["learning_rate"], seed=job.cell.seed)
    if job.profile == "quick":
        schedule = replace(schedule, steps=20, batch_size=50, warm_up=1)
    schedule = replace(schedule, batch_size=min(schedule.batch_size, len(job.split.train)))
    train_on_features(method, features, job.images, job.split, schedule)
    return method, features


def _run_trial(job: Job) -> Sequence[Value]:
    """The score among held-out images alone: a setting is never chosen on the test queries."""
    told = dict(job.cell.settings)
    method, features = _trained(job, told.pop("objective"), told)
    return [held_out(method, job.images, job.split, partial(describe_features, method, features))]


def _run(job: Job) -> Sequence[Value]:
    cell, search = job.cell, job.split.searches["test"]
    if cell.method == "GPQ":
        method, features = _trained(job, cell.variant, CHOSEN[cell.variant])
        return judge_features(method, features, job.images, search)
    features = standardised_features(job.images, job.split)
    if cell.method == "linear probe":
        return judge_probe(linear_probe(features, job.images, job.split), features, job.images, job.split)
    learned_from = torch.cat([job.split.train, job.split.unlabelled])
    order = torch.randperm(len(learned_from), generator=torch.Generator().manual_seed(cell.seed))
    fitted_to = features[learned_from[order[:FITTED_ON]]]
    reduce, books = reduction(fitted_to), cell.bits // 4
    train, query, database = (
        padded(reduce.project(part), books) for part in (fitted_to, features[search.query], features[search.database])
    )
    quantizer = fit_opq(train, books, 16, cell.seed)
    distances = ADC(quantizer.look_up_tables(query), quantizer.encode(database))
    relevance = Relevance(job.images.labels[search.query], job.images.labels[search.database])
    return judge(distances, relevance, k=None, divisors=("retrieved",), ties=("expected",))


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", f"{name}, dropout {dropout:g}, rate {rate:g}", drawn, 48,
             settings={"objective": name, "dropout": dropout, "learning_rate": rate})
        for name in VARIANTS
        for dropout, rate in TRIALS
    ]  # fmt: skip


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("linear probe", "linear probe", drawn),
        *(Cell("OPQ", "without labels", drawn, 48, seed) for seed in range(3)),
        *(
            Cell("GPQ", name, drawn, 48, seed, split_settings={"labels": labels})
            for seed in range(3)
            for labels in label_counts(profile, images, LABELS)
            for name in VARIANTS
        ),
    ]


GPQ_PRETRAINED_TRIALS = Grid(
    "gpq-pretrained-trials",
    "Dropout and learning rate of GPQ and of labels alone on pretrained features, chosen among held-out images",
    "general", _trial_cells, _run_trial, 60, repeatable=False,
)  # fmt: skip
GPQ_PRETRAINED = Grid(
    "gpq-pretrained",
    "GPQ and labels alone on pretrained features, 500 and 5,000 labels, three seeds; beside them OPQ and a linear probe",
    "general", _cells, _run, 60, repeatable=False,
)  # fmt: skip
