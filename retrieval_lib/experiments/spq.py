"""Self-supervised product quantization, recorded: by bits, by temperature, by variant and by view."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch.nn.functional import normalize

from retrieval_lib.augmentation import SIMCLR, ViewSettings
from retrieval_lib.backbones import settle_batch_statistics
from retrieval_lib.data import ImageSet, Split, protocol_for
from retrieval_lib.evaluation import ADC, Euclidean, Relevance
from retrieval_lib.experiments.budgets import Budget, budget_for, machine_device, whitened_network
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import codeword_use, validated
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
APART = ("published", *(name for name in VIEWS if name.startswith("without")), "none")
WIDTHS = (32, 64, 128)
COMPARED = Budget(WIDTHS, 400, batch_size=256)  # a few minutes: for the grids with many cells
EVALUATIONS = 5  # of a compared training: does the use of codewords tell earlier than the score?

CHOSEN = {"view": "mild", "temperature": 0.2}  # by the trials; what the other grids take where they vary nothing else
BITS = (16, 32, 64)
SHARPNESS = (0.2, 1.0, 2.0, 5.0, 10.0, 20.0)  # τ_q; 0.2 is the printed division by 5, multiplied
PUBLISHED_TEMPERATURE = 0.5  # of the contrast: under it fewer codewords stay in use than under the chosen one

TEMPERATURES: dict[str, dict] = {
    f"τ_q {t:g}": {"sharpness": t, "temperature": PUBLISHED_TEMPERATURE} for t in SHARPNESS
}
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
# Learned together or one after the other, asked again of a longer training with the long run's view and temperature.
TOGETHER = Budget(WIDTHS, 1200, batch_size=256)
JOINT: dict[str, dict] = {
    name: VARIANTS[name] | {"view": "small images", "temperature": PUBLISHED_TEMPERATURE}
    for name in ("SPQ", "plain contrast, PQ afterwards")
}
# The temperature was chosen for SPQ's loss; another one may suit the plain contrast better.
JOINT["plain contrast, τ 0.2, PQ afterwards"] = JOINT["plain contrast, PQ afterwards"] | {"temperature": 0.2}


def build(images: ImageSet, split: Split, budget: Budget, settings: SPQSettings, seed: int) -> SPQ:
    """A new SPQ on the fast network, its first layer whitened with training images."""
    device = machine_device()
    return SPQ(whitened_network(images, split.train, budget.widths, seed, device), settings, seed).to(device)


def fit_codebooks(method: SPQ, images: ImageSet, split: Split, seed: int = 0) -> None:
    """Replace the codebooks by those of a k-means on the descriptors of the training images."""
    fitted = fit_pq(describe(method, images.images[split.train]), *method.codebooks.shape[:2], seed)
    with torch.no_grad():
        method.codebooks.copy_(fitted.codebooks)


def judge_search(method: SPQ, images: ImageSet, split: Split, beside: bool = True) -> list[Value]:
    """What the codes find for the test queries, and what stands beside it.

    Args:
        method, images, split: as trained.
        beside: whether also to judge plain distances, codebooks fitted afterwards to the method's own descriptors, and
            descriptors without any code; the last two also with descriptors of norm 1, which is what the loss compares.

    Returns:
        mAP@1000 of the codes and, if asked for, of the others; and the perplexity of the codes of the database, mean and
        least over the codebooks.
    """
    search = split.searches["test"]
    parts = (search.query, search.database, split.train)
    positions, places = torch.cat(parts).unique(return_inverse=True)  # training images are in the database, too
    described = describe(method, images.images[positions])
    query, database, train = (described[place] for place in places.split([len(part) for part in parts]))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    quantizer = method.quantizer()
    codes = quantizer.encode(database)
    others = {}
    if beside:
        others["mAP by plain distances"] = ADC(quantizer.look_up_tables(query, "Euclidean"), codes)
        for told, prepare in (("", lambda x: x), (", of norm 1", normalize)):
            fitted_to, asked, searched = (prepare(x) for x in (train, query, database))
            afterwards = fit_pq(fitted_to, *method.codebooks.shape[:2])
            others[f"mAP of PQ fitted afterwards{told}"] = ADC(
                afterwards.look_up_tables(asked), afterwards.encode(searched)
            )
            others[f"mAP without a code{told}"] = Euclidean(asked, searched)
    values = judge(method.distances(query, codes), relevance, ties=("expected", "seeded") if beside else ("expected",))
    for name, distances in others.items():
        found = judge(distances, relevance, divisors=("retrieved",), ties=("expected",))
        values += [replace(value, metric=name) for value in found]
    by_book = perplexity(codeword_usage(codes, quantizer.codebooks.shape[1]))  # (M,)
    values.append(Value(float(by_book.mean()), "perplexity, mean over codebooks", "test"))
    return [*values, Value(float(by_book.min()), "perplexity, least codebook", "test")]


def settings_of(cell: Cell) -> SPQSettings:
    """The chosen settings with what a cell's own tell of the method; what they tell of the training is left out."""
    of_training = ("batch_size", "learning_rate", "weight_decay")
    told = CHOSEN | {name: value for name, value in cell.settings.items() if name not in of_training}
    return SPQSettings(bits=cell.bits, **told | {"view": VIEWS[told["view"]]})


def _run(budget: Budget, beside: bool = False, settled: bool = False) -> Callable[[Job], Sequence[Value]]:
    """What a cell does.

    Args:
        budget: of its training.
        beside: as in `judge_search`.
        settled: whether the test queries are judged with batch statistics of training images as they are. Those of the
            training are of its views, and fit images as they are the worse, the more a view changes: where views are
            compared, that would count as what they taught.
    """

    def run(job: Job) -> Sequence[Value]:
        cell, chosen = job.cell, budget_for(job.profile, budget)
        settings = settings_of(cell)
        method = build(job.images, job.split, chosen, settings, cell.seed)
        training, learned = chosen.training(cell.seed, job.split), settings.assignment != "none"
        if learned:
            training = replace(training, evaluate_every=max(1, chosen.steps // EVALUATIONS))
        history = train(method, job.images, job.split, training, **({} if learned else {"snapshot_count": 10}))
        if settled:
            settle_batch_statistics(method.backbone, job.images.images[job.split.train])
        if not learned:  # the codebooks are fitted now; without them the loop's score meant nothing
            fit_codebooks(method, job.images, job.split, cell.seed)
            history.scores[-1] = validation_score(method, job.images, job.split.searches["validation"])
        values = [*judge_search(method, job.images, job.split, beside), validated(history)]
        return [*values, *by_step(history)] if learned else values

    return run


def by_step(history: History) -> list[Value]:
    """As a run goes on: the validation score, and the perplexity of the codebook that uses its codewords least."""
    scores = zip(history.score_steps, history.scores, strict=True)
    return [
        *(Value(score, "mAP", f"validation, step {step}", 1000, "retrieved", "expected") for step, score in scores),
        *(
            Value(min(use["perplexity"]), "perplexity, least codebook", f"validation, step {use['step']}")
            for use in codeword_use(history)
        ),
    ]


def protocol(profile: str, images: ImageSet) -> str:
    """The protocol of all grids of SPQ: the largest one, but under the profile `quick`. Its labels only judge."""
    return protocol_for(images, "supervised", "quick" if profile == "quick" else "full")


def _bits_cells(profile: str, images: ImageSet) -> list[Cell]:
    return [Cell("SPQ", "SPQ", protocol(profile, images), b, seed) for seed in range(3) for b in BITS]


def _cells_of(changes: dict[str, dict]) -> Callable[[str, ImageSet], list[Cell]]:
    """32 bits and three seeds of each named change of the settings."""

    def cells(profile: str, images: ImageSet) -> list[Cell]:
        drawn = protocol(profile, images)
        return [Cell("SPQ", name, drawn, 32, s, settings=told) for s in range(3) for name, told in changes.items()]

    return cells


SPQ_BITS = Grid(
    "spq-bits",
    "SPQ with 16, 32 and 64 bits, 400 steps, three seeds; beside it plain distances, PQ fitted afterwards and no code",
    "general", _bits_cells, _run(COMPARED, beside=True), 240, repeatable=False,
)  # fmt: skip
SPQ_TEMPERATURE = Grid(
    "spq-temperature",
    "How hard SPQ's soft quantizer chooses while it trains, from 0.2 to 20: 32 bits, three seeds",
    "general", _cells_of(TEMPERATURES), _run(COMPARED), 180, repeatable=False,
)  # fmt: skip
SPQ_VARIANTS = Grid(
    "spq-variants",
    "Variants of SPQ's loss: hard choice, own view, plain contrast with PQ afterwards, balance; 32 bits, three seeds",
    "general", _cells_of(VARIANTS), _run(COMPARED), 180, repeatable=False,
)  # fmt: skip
SPQ_JOINT = Grid(
    "spq-joint",
    "SPQ, and plain contrast with PQ afterwards at two temperatures, 1,200 steps: 32 bits, three seeds",
    "general", _cells_of(JOINT), _run(TOGETHER, beside=True), 480, repeatable=False,
)  # fmt: skip
SPQ_VIEWS = Grid(
    "spq-views",
    "SPQ with other views, each without one change, batch statistics of images as they are: 32 bits, three seeds",
    "general", _cells_of({name: {"view": name} for name in APART}), _run(COMPARED, settled=True), 180, repeatable=False,
)  # fmt: skip
