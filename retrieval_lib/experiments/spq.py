"""Self-supervised product quantization, recorded: how it was tuned, by bits, by temperature, by variant and by view."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch.nn.functional import normalize

from retrieval_lib.augmentation import SIMCLR, ViewSettings
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.evaluation import ADC, Euclidean, Relevance
from retrieval_lib.experiments.budgets import Budget, budget_for, machine_device, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import least_perplexity, validated
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.quantization import codeword_usage, fit_pq, perplexity
from retrieval_lib.training import History, train, validation_score

# Views by name. `published` is the paper's; others are ours: in `gentle` crops keep more of the image and nothing is
# blurred; in `mild` brightness and contrast change half as much, too; `small images` is SimCLR's for CIFAR-10, which does
# not blur, with crops that keep a fifth and brightness as in `mild`.
GENTLE = replace(SIMCLR.without("blur"), crop_area=(0.25, 1.0))
MILD = replace(GENTLE, jitter_strength=(0.2, 0.2, 0.4, 0.1))
SMALL = replace(SIMCLR.without("blur"), crop_area=(0.2, 1.0), jitter_strength=(0.2, 0.4, 0.4, 0.1))
VIEWS: dict[str, ViewSettings] = {
    "published": SIMCLR,
    "without crop": SIMCLR.without("crop"),
    "without flip": SIMCLR.without("flip"),
    "without jitter": SIMCLR.without("jitter"),
    "without grey": SIMCLR.without("grey"),
    "without blur": SIMCLR.without("blur"),
    "none": SIMCLR.without("crop", "flip", "jitter", "grey", "blur"),
    "gentle": GENTLE,
    "mild": MILD,
    "small images": SMALL,
}
APART = ("published", *(name for name in VIEWS if name.startswith("without")), "none", "small images")
WIDTHS = (32, 64, 128)
MEDIUM = Budget(WIDTHS, 900, batch_size=256)  # as the page's live run
COMPARED = Budget(WIDTHS, 500, batch_size=256)  # under four minutes: for the grids with many cells
TRIED = Budget(WIDTHS, 250, batch_size=256)
EVALUATIONS = 5  # of a compared training: does the use of codewords tell earlier than the score?

# Trials: view, batch size, learning rate, temperature of the contrast; each sees as many images as the others.
TRIALS: tuple[tuple[str, int, float, float], ...] = (
    ("published", 256, 5e-3, 0.5),
    ("gentle", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.5),
    ("mild", 256, 5e-3, 0.2),
    ("mild", 256, 2e-3, 0.5),
)
# Longer trials, for the long run: view, temperature of the contrast, weight decay.
LONG_TRIALS: tuple[tuple[str, float, float], ...] = (
    ("mild", 0.2, 1e-4),
    ("mild", 0.5, 1e-4),
    ("published", 0.5, 1e-4),
    ("small images", 0.2, 1e-4),
    ("small images", 0.5, 1e-4),
    ("small images", 0.2, 5e-2),
)
LONG_TRIED = Budget(WIDTHS, 2000, batch_size=256)
CHOSEN = {"view": "mild", "temperature": 0.2}  # by the trials; what the other grids take where they vary nothing else
BITS = (16, 32, 64)
SHARPNESS = (0.2, 1.0, 2.0, 10.0, 20.0)  # τ_q; 0.2 is the printed value, multiplied; 5 is SPQ among the variants

# Each variant by name: what it changes in the paper's settings. All but the first are ours.
VARIANTS: dict[str, dict] = {
    "SPQ": {},
    "hard, straight-through": {"assignment": "hard"},
    "own view allowed": {"own_view": "too"},
    "own view only": {"own_view": "only"},
    "plain contrast, PQ afterwards": {"assignment": "none"},
    "with balance": {"balance": 0.1},
    "with more balance": {"balance": 1.0},
}


def build(images: ImageSet, split: Split, budget: Budget, settings: SPQSettings, seed: int) -> SPQ:
    """A new SPQ on the fast network, its first layer whitened with training images."""
    device = machine_device()
    return SPQ(whitened_network(images, split.train, budget.widths, seed, device), settings, seed).to(device)


def fit_codebooks(method: SPQ, images: ImageSet, split: Split, seed: int = 0) -> None:
    """Replace the codebooks by those of a k-means on the descriptors of the training images."""
    fitted = fit_pq(describe(method, images.images[split.train]), *method.codebooks.shape[:2], seed)
    with torch.no_grad():
        method.codebooks.copy_(fitted.codebooks)


def judge_search(method: SPQ, images: ImageSet, split: Split) -> list[Value]:
    """What the codes find for the test queries, and what stands beside it.

    mAP@1000 of the method's codes; by plain distances; of codebooks fitted afterwards to its own descriptors; without
    any code; these two also with descriptors of norm 1, which is what the loss compares; and the perplexity of the codes
    of the database, mean and least over the codebooks.
    """
    search = split.searches["test"]
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    quantizer = method.quantizer()
    codes = quantizer.encode(database)
    beside = {"mAP by plain distances": ADC(quantizer.look_up_tables(query, "Euclidean"), codes)}
    train = describe(method, images.images[split.train])
    for told, prepare in (("", lambda x: x), (", of norm 1", normalize)):
        fitted_to, asked, searched = (prepare(x) for x in (train, query, database))
        afterwards = fit_pq(fitted_to, *method.codebooks.shape[:2])
        beside[f"mAP of PQ fitted afterwards{told}"] = ADC(
            afterwards.look_up_tables(asked), afterwards.encode(searched)
        )
        beside[f"mAP without a code{told}"] = Euclidean(asked, searched)
    values = judge(method.distances(query, codes), relevance)
    for name, distances in beside.items():
        found = judge(distances, relevance, divisors=("retrieved",), ties=("expected",))
        values += [replace(value, metric=name) for value in found]
    by_book = perplexity(codeword_usage(codes, quantizer.codebooks.shape[1]))  # (M,)
    values.append(Value(float(by_book.mean()), "perplexity, mean over codebooks", "test"))
    return [*values, Value(float(by_book.min()), "perplexity, least codebook", "test")]


def _settings(cell: Cell) -> SPQSettings:
    told = CHOSEN | {
        name: value
        for name, value in cell.settings.items()
        if name not in ("batch_size", "learning_rate", "weight_decay")
    }
    return SPQSettings(bits=cell.bits, **told | {"view": VIEWS[told["view"]]})


def _run(budget: Budget) -> Callable[[Job], Sequence[Value]]:
    def run(job: Job) -> Sequence[Value]:
        cell, chosen = job.cell, budget_for(job.profile, budget)
        settings = _settings(cell)
        method = build(job.images, job.split, chosen, settings, cell.seed)
        training = chosen.training(cell.seed, job.split)
        if settings.assignment != "none":
            training = replace(training, evaluate_every=max(1, chosen.steps // EVALUATIONS))
            history = train(method, job.images, job.split, training)
            return [*judge_search(method, job.images, job.split), validated(history), *by_step(history)]
        history = train(method, job.images, job.split, training, snapshot_count=10)
        fit_codebooks(
            method, job.images, job.split, cell.seed
        )  # they did not learn, and the loop's score meant nothing
        history.scores[-1] = validation_score(method, job.images, job.split.searches["validation"])
        return [*judge_search(method, job.images, job.split), validated(history)]

    return run


def by_step(history: History) -> list[Value]:
    """As a run goes on: the validation score, and the perplexity of the codebook that uses its codewords least."""
    scores = zip(history.score_steps, history.scores, strict=True)
    return [
        *(Value(score, "mAP", f"validation, step {step}", 1000, "retrieved", "expected") for step, score in scores),
        *(
            Value(least, "perplexity, least codebook", f"validation, step {step}")
            for step, least in least_perplexity(history)
        ),
    ]


def _run_trial(job: Job) -> Sequence[Value]:
    """The validation score alone: a setting is never chosen on the test queries."""
    told, chosen = job.cell.settings, budget_for(job.profile, TRIED)
    steps = chosen.steps * chosen.batch_size // told["batch_size"]
    trial = replace(chosen, steps=steps, batch_size=told["batch_size"], learning_rate=told["learning_rate"])
    method = build(job.images, job.split, trial, _settings(job.cell), job.cell.seed)
    return [
        validated(train(method, job.images, job.split, trial.training(job.cell.seed, job.split), snapshot_count=10))
    ]


def _run_long_trial(job: Job) -> Sequence[Value]:
    """The validation score alone, and how the codewords were used."""
    chosen = replace(budget_for(job.profile, LONG_TRIED), weight_decay=job.cell.settings["weight_decay"])
    method = build(job.images, job.split, chosen, _settings(job.cell), job.cell.seed)
    training = replace(chosen.training(job.cell.seed, job.split), evaluate_every=max(1, chosen.steps // EVALUATIONS))
    history = train(method, job.images, job.split, training)
    return [validated(history), *by_step(history)]


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


def _long_trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"{view} views, temperature {temperature:g}, weight decay {decay:g}", drawn, 32,
             settings={"view": view, "temperature": temperature, "weight_decay": decay})
        for view, temperature, decay in LONG_TRIALS
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
SPQ_LONG_TRIALS = Grid(
    "spq-long-trials",
    "View and temperature of SPQ's long run: 2,000 steps of a smaller network, chosen on the validation part",
    "general", _long_trial_cells, _run_long_trial, 900, repeatable=False,
)  # fmt: skip
SPQ_BITS = Grid(
    "spq-bits",
    "SPQ with 16, 32 and 64 bits, 900 steps, three seeds; beside it plain distances, PQ fitted afterwards and no code",
    "general", _bits_cells, _run(MEDIUM), 400, repeatable=False,
)  # fmt: skip
SPQ_TEMPERATURE = Grid(
    "spq-temperature",
    "How hard SPQ's soft quantizer chooses while it trains, from 0.2 to 20: 32 bits, three seeds",
    "general", _cells_of({f"τ_q {t:g}": {"sharpness": t} for t in SHARPNESS}), _run(COMPARED), 260, repeatable=False,
)  # fmt: skip
SPQ_VARIANTS = Grid(
    "spq-variants",
    "Variants of SPQ's loss: hard choice, own view, plain contrast with PQ afterwards, balance; 32 bits, three seeds",
    "general", _cells_of(VARIANTS), _run(COMPARED), 260, repeatable=False,
)  # fmt: skip
SPQ_VIEWS = Grid(
    "spq-views",
    "SPQ with other views, each without one change: 32 bits, three seeds; its own view is among the variants",
    "general", _cells_of({name: {"view": name} for name in APART}), _run(COMPARED), 260, repeatable=False,
)  # fmt: skip
