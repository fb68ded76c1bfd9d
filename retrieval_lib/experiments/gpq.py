"""Generalized product quantization, recorded: its tuning, the number of labels, and the length of codes."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.augmentation import MIRRORED, SHIFTED, ViewSettings
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.evaluation import ADC, Euclidean
from retrieval_lib.experiments.budgets import Budget, budget_for, machine_device, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import held_out, validated
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import described_search
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.quantization import fit_opq, fit_pq
from retrieval_lib.training import train

# Views by name. `shifted` is the paper's; the others are ours, for few labels seen many times.
VIEWS: dict[str, ViewSettings] = {
    "shifted": SHIFTED,
    "mirrored": MIRRORED,
    "cropped": ViewSettings(
        crop=1.0, crop_area=(0.3, 1.0), flip=0.5, jitter=0.8, jitter_strength=(0.4, 0.4, 0.4, 0.1), grey=0.1
    ),
}

# Trials: view, weight of the entropy, steps, learning rate. A step without unlabelled images costs half of one with.
TRIALS: tuple[tuple[str, float, int, float], ...] = (
    ("cropped", 0.1, 500, 5e-3),
    ("shifted", 0.1, 500, 5e-3),
    ("cropped", 0.0, 500, 5e-3),
    ("cropped", 0.1, 500, 1e-2),
    ("shifted", 0.0, 500, 5e-3),
    ("shifted", 0.0, 1000, 5e-3),
    ("shifted", 0.5, 500, 5e-3),
    ("shifted", 0.1, 500, 1e-2),
    ("shifted", 0.03, 500, 5e-3),
    ("cropped", 0.0, 1000, 5e-3),
    ("shifted", 0.0, 1000, 1e-2),
    ("shifted", 0.0, 1000, 2e-3),
)
WIDTHS = (32, 64, 128)
SHORT = Budget(WIDTHS, 500)  # under three minutes: for the grids with many cells
LIVE = Budget(WIDTHS, 1300)  # as the page's live run

# What each variant changes: settings of the method, or how many times the steps. A step without unlabelled images sees
# half as many images, so that twice the steps make equal views.
ALONE: dict[str, dict] = {
    "GPQ": {},
    "labels alone, equal steps": {"entropy": 0.0},
    "labels alone, equal views": {"entropy": 0.0, "longer": 2},
}
LABELS = (250, 500, 1000, 5000)
FEW_LABELS = (70, 100)  # of the small data sets, and of the profile `quick`
BITS = (12, 24, 32, 48)
FITTED_ON = 10_000  # descriptors that PQ and OPQ are fitted to


def build(images: ImageSet, split: Split, budget: Budget, settings: GPQSettings, seed: int) -> GPQ:
    """A new GPQ on the fast network, its first layer whitened with labelled images."""
    device = machine_device()
    network = whitened_network(images, split.train, budget.widths, seed, device)
    return GPQ(network, len(images.class_names), settings, seed).to(device)


def judge_test(method: GPQ, images: ImageSet, split: Split, refitted: bool = False, seed: int = 0) -> list[Value]:
    """mAP over the whole ranking of the test queries; and, if asked for, with codebooks refitted to the descriptors.

    Args:
        method, images, split: as trained.
        refitted: whether PQ and OPQ, fitted to descriptors of unlabelled images, search in the same way, and the
            descriptors without any code.
        seed: of what is refitted.
    """
    query, database, relevance = described_search(method, images, split.searches["test"])
    rules = {"k": None, "divisors": ("retrieved",)}
    values = judge(method.distances(query, method.encode(database)), relevance, **rules)
    if refitted:
        books, words = method.codebooks.shape[:2]
        beside = {"mAP without a code": Euclidean(query, database)}  # all of one norm: by inner product the same order
        for name, fit in (("PQ", fit_pq), ("OPQ", fit_opq)):
            quantizer = fit(database[:FITTED_ON], books, words, seed=seed)
            beside[f"mAP by {name} on the same descriptors"] = ADC(
                quantizer.look_up_tables(query), quantizer.encode(database)
            )
        for name, distances in beside.items():
            (value,) = judge(distances, relevance, ties=("expected",), **rules)
            values.append(replace(value, metric=name))
    return values


def trained(job: Job, budget: Budget) -> GPQ:
    """A new GPQ, trained with the changes that the cell's settings tell: of the method, the view by name, the length.

    Args:
        job: `longer` among its cell's settings multiplies the steps.
        budget: of the training, but under the profile `quick`.
    """
    changes = dict(job.cell.settings)
    chosen = budget_for(job.profile, budget)
    chosen = replace(chosen, steps=chosen.steps * int(changes.pop("longer", 1)))
    changes["view"] = VIEWS[changes.pop("view", "shifted")]
    method = build(job.images, job.split, chosen, GPQSettings(bits=job.cell.bits, **changes), job.cell.seed)
    train(method, job.images, job.split, chosen.training(job.cell.seed, job.split), snapshot_count=10)
    return method


def _run(budget: Budget, refitted: bool = False):
    def run(job: Job) -> Sequence[Value]:
        return judge_test(trained(job, budget), job.images, job.split, refitted, job.cell.seed)

    return run


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation scores alone: a setting is never chosen on the test queries."""
    told = job.cell.settings
    chosen = budget_for(job.profile, Budget(WIDTHS, told["steps"], learning_rate=told["learning_rate"]))
    settings = GPQSettings(bits=job.cell.bits, view=VIEWS[told["view"]], entropy=told["entropy"])
    method = build(job.images, job.split, chosen, settings, job.cell.seed)
    history = train(method, job.images, job.split, chosen.training(job.cell.seed, job.split), snapshot_count=10)
    return [held_out(method, job.images, job.split), validated(history)]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of GPQ: the largest one, but under the profile `quick`."""
    return protocol_for(images, "semi-supervised", "quick" if profile == "quick" else "full")


def label_counts(profile: str, images: ImageSet, wanted: Sequence[int]) -> Sequence[int]:
    """The numbers of labels that a grid compares: those wanted, where the data set is large enough for them."""
    return FEW_LABELS if profile == "quick" or len(images.labels) < 10 * max(wanted) else wanted


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", f"{view}, entropy {entropy:g}, {steps} steps, rate {rate:g}", drawn, 48, 0,
             settings={"view": view, "entropy": entropy, "steps": steps, "learning_rate": rate})
        for view, entropy, steps, rate in TRIALS
    ]  # fmt: skip


def _labels_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", name, drawn, 48, seed, settings=changes, split_settings={"labels": labels})
        for seed in range(3)
        for labels in label_counts(profile, images, LABELS)
        for name, changes in ALONE.items()
    ]


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [Cell("GPQ", "GPQ", protocol(profile, images), bits, seed) for seed in range(3) for bits in BITS]


def _live_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [Cell("GPQ", "live run", protocol(profile, images), 48, seed) for seed in range(3)]


GPQ_TRIALS = Grid(
    "gpq-trials",
    "View, weight of the entropy and learning rate of GPQ's trainings, chosen on the validation part",
    "general", _trial_cells, _run_trial, 200, repeatable=False,
)  # fmt: skip
GPQ_LABELS = Grid(
    "gpq-labels",
    "GPQ and labels alone, by the number of labels: 48 bits, three seeds, equal steps and equal views",
    "general", _labels_cells, _run(SHORT), 130, repeatable=False,
)  # fmt: skip
GPQ_LIVE = Grid(
    "gpq-live",
    "GPQ's live run with three seeds: 48 bits, 5,000 labels, 1,300 steps",
    "general", _live_cells, _run(LIVE), 400, repeatable=False,
)  # fmt: skip
GPQ_BITS = Grid(
    "gpq-bits",
    "GPQ with 12, 24, 32 and 48 bits, and PQ, OPQ and no code on the same descriptors: 500 steps, three seeds",
    "general", _bits_cells, _run(SHORT, refitted=True), 200, repeatable=False,
)  # fmt: skip
