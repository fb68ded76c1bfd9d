"""The long runs of DHD: trainings of about two hours, each kept as a checkpoint of a few megabytes."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval_lib.augmentation import MIRRORED, SHIFTED
from retrieval_lib.data import ImageSet, protocol_for
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.dhd import build, judge_searches, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import held_out, validated
from retrieval_lib.experiments.long_run import LongRun, long_grid
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.training import train

WIDTHS = (64, 256, 256)

# Trials for the second run, of a smaller network: the teacher's view, by name, and the weight decay. The short ones have few
# images and see each as often as a long run does; the longer ones have all, and more steps.
TEACHERS: dict[str, dict] = {
    "teacher 0.2": {"teacher_strength": 0.2},
    "teacher 0.5": {"teacher_strength": 0.5},
    "shifted": {"teacher": SHIFTED},
    "shifted, mirrored border": {"teacher": MIRRORED},
}
DECAYS = (1e-4, 5e-2)
SHORT, LONGER = Budget((32, 64, 128), 1000), Budget((32, 64, 128), 4000)
TRIED_ON = 5000  # labelled images, of which a tenth is held back: 28 epochs


def _run_trial(job: Job) -> Sequence[Value]:
    """The score among held-out images alone: a setting is never chosen on the test queries."""
    told = job.cell.settings
    chosen = replace(
        budget_for(job.profile, LONGER if told.get("longer") else SHORT), weight_decay=told["weight_decay"]
    )
    settings = DHDSettings(bits=job.cell.bits, **TEACHERS[told["teacher"]])
    method = build(job.images, job.split, chosen, settings, job.cell.seed)
    history = train(method, job.images, job.split, chosen.training(job.cell.seed, job.split), snapshot_count=10)
    found = held_out(method, job.images, job.split)
    return [found, validated(history)] if told.get("longer") else [found]


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    small = profile == "quick" or len(images.labels) < 10 * TRIED_ON
    few = {} if small else {"labels": TRIED_ON}  # all labels of its protocol: fewer would leave no validation part
    drawn = protocol_for(images, "semi-supervised", "quick" if profile == "quick" else "full")
    short = [
        Cell("DHD", f"{teacher}, weight decay {decay:g}", drawn, 64,
             settings={"teacher": teacher, "weight_decay": decay}, split_settings=few)
        for teacher in TEACHERS
        for decay in DECAYS
    ]  # fmt: skip
    longer = [
        Cell("DHD", f"{teacher}, longer", protocol(profile, images), 64,
             settings={"teacher": teacher, "weight_decay": DECAYS[0], "longer": True})
        for teacher in ("shifted, mirrored border", "teacher 0.2", "teacher 0.5")
    ]  # fmt: skip
    return short + longer


def _cell(profile: str, images: ImageSet) -> Cell:
    return Cell("DHD", "long run", protocol(profile, images), 64)


def _long_run(settings: dict, budget: Budget, settled: bool) -> LongRun:
    def made(job: Job, chosen: Budget) -> DHD:
        return build(job.images, job.split, chosen, DHDSettings(bits=job.cell.bits, **settings), job.cell.seed)

    return LongRun(budget, made, judge_searches, settled=settled)


FIRST_RUN = _long_run(TEACHERS["teacher 0.2"], Budget(WIDTHS, 14_000), settled=False)
SECOND = {
    "teacher": "shifted, mirrored border",
    "weight_decay": 1e-4,
}  # not the best of the trials: that is the first run's view
SECOND_RUN = _long_run(
    TEACHERS[SECOND["teacher"]], Budget(WIDTHS, 9_500, weight_decay=SECOND["weight_decay"]), settled=True
)
DHD_LONG = long_grid(
    "dhd-long",
    "DHD with 64 bits and the teacher that was best in short trainings, for 40 epochs; its weights are kept",
    "general", _cell, FIRST_RUN, 8000,
)  # fmt: skip
DHD_LONG_TRIALS = Grid(
    "dhd-long-trials",
    "Other views of the teacher, and more weight decay, before a second long run of DHD; compared among held-out images",
    "general", _trial_cells, _run_trial, 600, repeatable=False,
)  # fmt: skip
DHD_LONG_SECOND = long_grid(
    "dhd-long-second",
    "DHD with 64 bits, its labelled view only shifted and mirrored, for 27 epochs; its weights are kept",
    "general", _cell, SECOND_RUN, 8000,
)  # fmt: skip
