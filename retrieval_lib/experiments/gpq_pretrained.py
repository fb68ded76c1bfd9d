"""GPQ on the features of a pretrained network, computed once: only head, prototypes and codebooks learn."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from retrieval_lib.backbones import cached_features, load_backbone
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.evaluation import Relevance
from retrieval_lib.experiments.gpq import protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import TrainingSettings
from retrieval_lib.training.batches import step_indices, targets_of
from retrieval_lib.training.loop import make_optimizer
from retrieval_lib.training.settings import learning_rate

SIDE = 96  # pixels that the pretrained network sees
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the linear probe, chosen on the validation part
SCHEDULE = TrainingSettings(1500, 500, learning_rate=1e-3, weight_decay=1e-2, warm_up=75)
# Trials: dropout on the features, learning rate; chosen on the validation part.
TRIALS = tuple((dropout, rate) for dropout in (0.0, 0.5, 0.8) for rate in (1e-3, 3e-3))
CHOSEN = {"dropout": 0.5, "learning_rate": 1e-3}
VARIANTS: dict[str, dict] = {"GPQ": {}, "labels alone": {"entropy": 0.0}}


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


def standardised_features(images: ImageSet, split: Split) -> Tensor:
    """Features of all images, (N, D): mean 0 and deviation 1 over the images that may be learned from, unlabelled too."""
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
        schedule: steps, batch size, learning rate, weight decay.
    """
    optimizer = make_optimizer(method, schedule)
    method.train()
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step)
        labelled = step_indices(split.train, step, schedule)
        unlabelled = [
            features[step_indices(split.unlabelled, step, schedule, "unlabelled order")]
            for _ in method.unlabelled_views
        ]
        batch = Batch([features[labelled]], targets_of(images, labelled), unlabelled)
        optimizer.zero_grad(set_to_none=True)
        sum(method.loss_terms(batch, step / schedule.steps).values()).backward()
        optimizer.step()
    method.eval()


@torch.no_grad()
def judge_features(method: GPQ, features: Tensor, images: ImageSet, query: Tensor, database: Tensor, search: str):
    """mAP over the whole ranking, tie-aware; the features are what images are to other methods."""
    described = [torch.cat([method.descriptors(part) for part in features[p].split(4096)]) for p in (query, database)]
    distances = method.distances(described[0], method.encode(described[1]))
    relevance = Relevance(images.labels[query], images.labels[database])
    return judge(distances, relevance, search=search, k=None, divisors=("retrieved",), ties=("expected",))


def probe_accuracy(features: Tensor, images: ImageSet, split: Split) -> float:
    """Accuracy on the test queries of a linear classifier, its strength chosen on the validation part.

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
    query = split.searches["test"].query
    return float(best[1].score(features[query].numpy(), images.labels[query].numpy()))


def _trained(job: Job, told: dict) -> tuple[GPQ, Tensor]:
    features = standardised_features(job.images, job.split)
    settings = GPQSettings(bits=job.cell.bits, entropy=told.get("entropy", GPQSettings().entropy))
    backbone = FeatureInput(features.shape[1], told["dropout"])
    method = GPQ(backbone, len(job.images.class_names), settings, job.cell.seed)
    schedule = replace(SCHEDULE, learning_rate=told["learning_rate"], seed=job.cell.seed)
    if job.profile == "quick":
        schedule = replace(schedule, steps=20, batch_size=50, warm_up=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.cell.seed)  # of the dropout
        train_on_features(method, features, job.images, job.split, schedule)
    return method, features


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    method, features = _trained(job, dict(job.cell.settings))
    held_out = job.split.searches["validation"].query
    half = held_out[torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))].chunk(2)
    return judge_features(method, features, job.images, half[0], half[1], "validation")


def _run(job: Job) -> Sequence[Value]:
    if job.cell.method == "linear probe":
        features = standardised_features(job.images, job.split)
        return [Value(probe_accuracy(features, job.images, job.split), "accuracy", "test")]
    method, features = _trained(job, {**CHOSEN, **job.cell.settings})
    search = job.split.searches["test"]
    return judge_features(method, features, job.images, search.query, search.database, "test")


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", f"dropout {dropout:g}, rate {rate:g}", drawn, 48,
             settings={"dropout": dropout, "learning_rate": rate})
        for dropout, rate in TRIALS
    ]  # fmt: skip


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    probe = Cell("linear probe", "linear probe", drawn)
    return [probe] + [
        Cell("GPQ", name, drawn, 48, seed, settings=changes) for seed in range(3) for name, changes in VARIANTS.items()
    ]


GPQ_PRETRAINED_TRIALS = Grid(
    "gpq-pretrained-trials",
    "Dropout and learning rate of GPQ on pretrained features, chosen on the validation part",
    "general", _trial_cells, _run_trial, 40, repeatable=False,
)  # fmt: skip
GPQ_PRETRAINED = Grid(
    "gpq-pretrained",
    "GPQ and labels alone on pretrained features, 48 bits, three seeds; beside them a linear probe",
    "general", _cells, _run, 40, repeatable=False,
)  # fmt: skip
