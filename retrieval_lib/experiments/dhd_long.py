"""The long run of DHD: one training of about two hours, kept as a checkpoint of a few megabytes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from retrieval_lib.data import ImageSet, cache_folder
from retrieval_lib.experiments.dhd import Budget, budget_for, build, judge_searches, protocol
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.training import load_checkpoint, save_checkpoint, train

LONG = Budget((64, 256, 256), 14_000)  # 40 epochs


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    name = f"dhd-long-{images.name}-{profile}.safetensors"
    return [Cell("DHD", "long run", protocol(profile, images), 64, checkpoint=name)]


def _new(job: Job) -> tuple[DHD, Budget]:
    budget = budget_for(job.profile, LONG)
    return build(job.images, job.split, budget, DHDSettings(bits=job.cell.bits), job.cell.seed), budget


def _run(job: Job) -> Sequence[Value]:
    """Train, keep the weights in half precision, and judge what the file holds.

    The state of an unfinished run lies in the cache: stopped, the same command goes on from there.
    """
    method, budget = _new(job)
    epoch = max(1, len(job.split.train) // budget.batch_size)
    settings = replace(budget.training(job.cell.seed), evaluate_every=epoch, save_every=100)
    state = cache_folder() / f"{job.cell.key(job.split.hash, job.profile)}.state"
    history = train(method, job.images, job.split, settings, state_path=state, snapshot_count=200)
    about = {**asdict(method.settings), "widths": budget.widths}
    save_checkpoint(job.weights, method, about, history, dtype=torch.float16)
    return _evaluate(job, job.weights)


def _evaluate(job: Job, path: Path) -> Sequence[Value]:
    method, _ = _new(job)
    scores = load_checkpoint(path, method)["history"]["scores"]
    kept = Value(scores[-1], "mAP", "validation", 1000, "retrieved", "expected")
    return [*judge_searches(method, job.images, job.split), kept]


DHD_LONG = Grid(
    "dhd-long",
    "DHD with 64 bits, trained for 40 epochs; its weights are kept",
    "general", _cells, _run, 8000, repeatable=False, evaluate_checkpoint=_evaluate,
)  # fmt: skip
