"""SPQ with a learning rate that rises until codebooks collapse, recorded: does their use tell it before the score does?"""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import codeword_use
from retrieval_lib.experiments.spq import PUBLISHED_TEMPERATURE, WIDTHS, build, protocol, settings_of
from retrieval_lib.experiments.values import Value
from retrieval_lib.training import train

RISING = Budget(WIDTHS, 120, batch_size=128)
HIGHEST = (0.005, 0.02, 0.05)  # the rate of the last step; the first is that of the other trainings
EVALUATIONS = 24


def _run(job: Job) -> Sequence[Value]:
    """By step, the validation score and how the codewords were used."""
    chosen = budget_for(job.profile, RISING)
    method = build(job.images, job.split, chosen, settings_of(job.cell), job.cell.seed)
    training = replace(
        chosen.training(job.cell.seed, job.split), learning_rate=job.cell.settings["learning_rate"],
        warm_up=chosen.steps - 1, evaluate_every=max(1, chosen.steps // EVALUATIONS),
    )  # fmt: skip
    history = train(method, job.images, job.split, training)
    values = []
    for step, score, use in zip(history.score_steps, history.scores, codeword_use(history), strict=True):
        search, by_book = f"validation, step {step}", use["perplexity"]
        values += [
            Value(score, "mAP", search, 1000, "retrieved", "expected"),
            Value(sum(by_book) / len(by_book), "perplexity, mean over codebooks", search),
            Value(use["unused"], "codewords not in use", search),
        ]
    return values


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", f"up to {rate:g}", drawn, 32, seed,
             settings={"learning_rate": rate, "temperature": PUBLISHED_TEMPERATURE})
        for seed in range(3)
        for rate in HIGHEST
    ]  # fmt: skip


SPQ_COLLAPSE = Grid(
    "spq-collapse",
    "SPQ with a learning rate that rises to 0.005, 0.02 or 0.05: use of codewords and score by step, three seeds",
    "general", _cells, _run, 120, repeatable=False,
)  # fmt: skip
