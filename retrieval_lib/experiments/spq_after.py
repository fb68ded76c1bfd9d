"""What limits SPQ's long run, recorded: the size of its network; and whether unused codewords can be won back."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import budget_for
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import validated
from retrieval_lib.experiments.spq import EVALUATIONS, VIEWS, build, by_step, judge_search, protocol
from retrieval_lib.experiments.spq_long import CHOSEN, LONG, RUN, SPQ_LONG
from retrieval_lib.experiments.spq_trials import LONG_TRIED
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.spq import SPQSettings
from retrieval_lib.training import train

# Widths, trained as the long run's best trial was, whose channels are 32, 64, 128. The long run's own width tells what its
# further steps are worth.
SIZES = {"narrow": (16, 32, 64), "as the long run": LONG.widths, "wide": (64, 128, 256)}
# From the long run's weights on, each for as many steps: the loss as before, and with a term for an even use.
CONTINUED: dict[str, dict] = {"as before": {}, "balance 0.1": {"balance": 0.1}, "balance 1": {"balance": 1.0}}
AFTER = replace(LONG, steps=1000, learning_rate=2e-3)


def _run_size(job: Job) -> Sequence[Value]:
    """The validation score alone, and how the codewords were used: comparable with the recorded trials."""
    chosen = replace(LONG_TRIED, widths=SIZES[job.cell.variant], weight_decay=CHOSEN["weight_decay"])
    chosen = budget_for(job.profile, chosen)
    settings = SPQSettings(bits=job.cell.bits, temperature=CHOSEN["temperature"], view=VIEWS[CHOSEN["view"]])
    method = build(job.images, job.split, chosen, settings, job.cell.seed)
    training = replace(chosen.training(job.cell.seed, job.split), evaluate_every=max(1, chosen.steps // EVALUATIONS))
    history = train(method, job.images, job.split, training, state_path=job.state)
    return [validated(history), *by_step(history)]


def _run_after(job: Job) -> Sequence[Value]:
    chosen = budget_for(job.profile, AFTER)
    method = RUN.load(SPQ_LONG, job.images, job.profile)
    method.settings = replace(method.settings, **job.cell.settings)
    fresh = job.cell.seed + 1  # with the long run's own seed its first batches and views would come again
    training = replace(chosen.training(fresh, job.split), evaluate_every=max(1, chosen.steps // EVALUATIONS))
    history = train(method, job.images, job.split, training, state_path=job.state, initial="SPQ's long run")
    return [*judge_search(method, job.images, job.split, beside=False), validated(history), *by_step(history)]


def _size_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("SPQ", name, drawn, 32, settings={"widths": ", ".join(map(str, widths))}) for name, widths in SIZES.items()
    ]


def _after_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [Cell("SPQ", name, drawn, 32, settings=changes) for name, changes in CONTINUED.items()]


SPQ_SIZES = Grid(
    "spq-sizes",
    "SPQ's long run with other widths, and with its own: 2,000 steps, judged on the validation part",
    "general", _size_cells, _run_size, 1200, repeatable=False,
)  # fmt: skip
SPQ_LONG_AFTER = Grid(
    "spq-long-after",
    "SPQ's long run gone on with for 1,000 steps: as before, and with a term for an even use of the codewords",
    "general", _after_cells, _run_after, 800, repeatable=False,
)  # fmt: skip
