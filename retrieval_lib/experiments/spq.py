"""Self-supervised product quantization, recorded: how it was tuned, by bits, by temperature, by variant and by view."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from retrieval_lib.augmentation import SIMCLR, ViewSettings
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.evaluation import ADC, Euclidean, Relevance
from retrieval_lib.experiments.budgets import Budget, budget_for, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.quantization import codeword_usage, fit_pq, perplexity
from retrieval_lib.training import History, train

# Views by name. `published` is the paper's; two are ours, for few steps: in `gentle` crops keep more of the image and
# nothing is blurred; in `mild` brightness and contrast change half as much, too.
GENTLE = replace(SIMCLR.without("blur"), crop_area=(0.25, 1.0))
MILD = replace(GENTLE, jitter_strength=(0.2, 0.2, 0.4, 0.1))
VIEWS: dict[str, ViewSettings] = {
    "published": SIMCLR,
    "without crop": SIMCLR.without("crop"),
    "without flip": SIMCLR.without("flip"),
    "without jitter": SIMCLR.without("jitter"),
    "without grey": SIMCLR.without("grey"),
    "without blur": SIMCLR.without("blur"),
    "crop only": SIMCLR.without("flip", "jitter", "grey", "blur"),
    "gentle": GENTLE,
    "mild": MILD,
}
WIDTHS = (32, 64, 128)
MEDIUM = Budget(WIDTHS, 900, batch_size=256)  # as the page's live run
SHORT = Budget(WIDTHS, 250, batch_size=256)  # under two minutes: for trials, and for the grids with many cells

# Trials: view, batch size, learning rate, temperature of the contrast; each sees as many images as the others.
TRIALS: tuple[tuple[str, int, float, float], ...] = (
    ("published", 256, 5e-3, 0.5),
    ("gentle", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.2),
    ("mild", 256, 2e-3, 0.5),
)
CHOSEN = {"view": "mild", "temperature": 0.2}  # by the trials; what the other grids take where they vary nothing else
BITS = (16, 32, 64)
SHARPNESS = (0.2, 1.0, 2.0, 10.0, 20.0)  # τ_q; 0.2 is the printed value, multiplied; 5 is SPQ among the variants

# Each variant by name: what it changes in the paper's settings. All but the first are ours.
VARIANTS: dict[str, dict] = {
    "SPQ": {},
    "hard, straight-through": {"assignment": "hard"},
    "own view allowed": {"own_view": True},
    "plain contrast, PQ afterwards": {"assignment": "none"},
    "with balance": {"balance": 0.1},
}


def build(images: ImageSet, split: Split, budget: Budget, settings: SPQSettings, seed: int) -> SPQ:
    """A new SPQ on the fast network, its first layer whitened with training images."""
    return SPQ(whitened_network(images, split.train, budget.widths, seed), settings, seed)


def fit_codebooks(method: SPQ, images: ImageSet, split: Split, seed: int = 0) -> None:
    """Replace the codebooks by those of a k-means on the descriptors of the training images."""
    fitted = fit_pq(describe(method, images.images[split.train]), *method.codebooks.shape[:2], seed)
    with torch.no_grad():
        method.codebooks.copy_(fitted.codebooks)


def judge_search(method: SPQ, images: ImageSet, split: Split) -> list[Value]:
    """What 32 bits find for the test queries, and what stands beside it.

    mAP@1000 of the method's codes; by plain distances; of codebooks fitted afterwards to its own descriptors; without
    any code; and the perplexity of the codes of the database, mean and least over the codebooks.
    """
    search = split.searches["test"]
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    quantizer = method.quantizer()
    codes = quantizer.encode(database)
    afterwards = fit_pq(describe(method, images.images[split.train]), *method.codebooks.shape[:2])
    beside = {
        "mAP by plain distances": ADC(quantizer.look_up_tables(query, "Euclidean"), codes),
        "mAP of PQ fitted afterwards": ADC(afterwards.look_up_tables(query), afterwards.encode(database)),
        "mAP without a code": Euclidean(query, database),
    }
    values = judge(method.distances(query, codes), relevance)
    for name, distances in beside.items():
        found = judge(distances, relevance, divisors=("retrieved",), ties=("expected",))
        values += [replace(value, metric=name) for value in found]
    by_book = perplexity(codeword_usage(codes, quantizer.codebooks.shape[1]))  # (M,)
    values.append(Value(float(by_book.mean()), "perplexity, mean over codebooks", "test"))
    return [*values, Value(float(by_book.min()), "perplexity, least codebook", "test")]


def validated(history: History) -> Value:
    """The last validation score of a run."""
    return Value(history.scores[-1], "mAP", "validation", 1000, "retrieved", "expected")


def _settings(cell: Cell) -> SPQSettings:
    told = CHOSEN | {
        name: value for name, value in cell.settings.items() if name not in ("batch_size", "learning_rate")
    }
    return SPQSettings(bits=cell.bits, **told | {"view": VIEWS[told["view"]]})


def _run(budget: Budget) -> Callable[[Job], Sequence[Value]]:
    def run(job: Job) -> Sequence[Value]:
        cell, chosen = job.cell, budget_for(job.profile, budget)
        settings = _settings(cell)
        method = build(job.images, job.split, chosen, settings, cell.seed)
        history = train(method, job.images, job.split, chosen.training(cell.seed), snapshot_count=10)
        if settings.assignment == "none":  # its codebooks did not learn, so that the loop's score means nothing
            fit_codebooks(method, job.images, job.split, cell.seed)
            return judge_search(method, job.images, job.split)
        return [*judge_search(method, job.images, job.split), validated(history)]

    return run


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    told, chosen = job.cell.settings, budget_for(job.profile, SHORT)
    steps = chosen.steps * chosen.batch_size // told["batch_size"]
    trial = replace(chosen, steps=steps, batch_size=told["batch_size"], learning_rate=told["learning_rate"])
    method = build(job.images, job.split, trial, _settings(job.cell), job.cell.seed)
    return [validated(train(method, job.images, job.split, trial.training(job.cell.seed), snapshot_count=10))]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of SPQ: the largest one, but under the profile `quick`. Its labels only judge."""
    return protocol_for(images, "supervised", "quick" if profile == "quick" else "full")


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"{view} views, batches of {batch}, rate {rate:g}, temperature {temperature:g}", drawn, 32,
             settings={"view": view, "batch_size": batch, "learning_rate": rate, "temperature": temperature})
        for view, batch, rate, temperature in TRIALS
    ]  # fmt: skip


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [Cell("SPQ", "SPQ", protocol(profile, images), b, seed) for seed in range(3) for b in BITS]


def _cells_of(changes: dict[str, dict]) -> Callable[[str, ImageSet], list[Cell]]:
    """32 bits and three seeds of each named change of the settings."""

    def cells(profile: str, images: ImageSet) -> list[Cell]:
        drawn = protocol(profile, images)
        return [Cell("SPQ", name, drawn, 32, s, settings=told) for s in range(3) for name, told in changes.items()]

    return cells


SPQ_TRIALS = Grid(
    "spq-trials",
    "View, learning rate and temperature of SPQ's trainings, chosen on the validation part",
    "general", _trial_cells, _run_trial, 170, repeatable=False,
)  # fmt: skip
SPQ_BITS = Grid(
    "spq-bits",
    "SPQ with 16, 32 and 64 bits, 900 steps, three seeds; beside it plain distances, PQ fitted afterwards and no code",
    "general", _bits_cells, _run(MEDIUM), 400, repeatable=False,
)  # fmt: skip
SPQ_TEMPERATURE = Grid(
    "spq-temperature",
    "How hard SPQ's soft quantizer chooses while it trains, from 0.2 to 20: 32 bits, three seeds",
    "general", _cells_of({f"τ_q {t:g}": {"sharpness": t} for t in SHARPNESS}), _run(SHORT), 190, repeatable=False,
)  # fmt: skip
SPQ_VARIANTS = Grid(
    "spq-variants",
    "Variants of SPQ's loss: hard choice, own view, plain contrast with PQ afterwards, balance; 32 bits, three seeds",
    "general", _cells_of(VARIANTS), _run(SHORT), 190, repeatable=False,
)  # fmt: skip
SPQ_VIEWS = Grid(
    "spq-views",
    "SPQ with other views, each without one change: 32 bits, three seeds; its own view is among the variants",
    "general", _cells_of({name: {"view": name} for name in VIEWS if name != CHOSEN["view"]}), _run(SHORT), 190,
    repeatable=False,
)  # fmt: skip
