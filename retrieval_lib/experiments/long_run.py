"""A long training, kept as a checkpoint of a few megabytes and judged from that file; stopped, it goes on."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from retrieval_lib.backbones import settle_batch_statistics
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.budgets import Budget, budget_for
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import codeword_use, validated
from retrieval_lib.experiments.records import kept_weights
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method
from retrieval_lib.training import load_checkpoint, read_history, save_checkpoint, train


@dataclass(frozen=True)
class LongRun:
    """What is trained, for how long, and how it is judged.

    Attributes:
        budget: of the training.
        build: a new method for a job's images and this budget.
        judge: what the kept weights find.
        side: pixels that the images are brought to; None leaves them as they are.
        evaluations: how often the validation score is taken and a snapshot made.
        shown: images that the snapshots follow: few, so that the state stays small.
        settled: whether the kept network's batch statistics are taken anew from training images as they are; the
            training's own are those of views.
    """

    budget: Budget
    build: Callable[[Job, Budget], Method]
    judge: Callable[[Method, ImageSet, Split], Sequence[Value]]
    side: int | None = None
    evaluations: int = 40
    shown: int = 200
    settled: bool = False

    def run(self, job: Job) -> Sequence[Value]:
        """Train, keep the weights in half precision, and judge what the file holds.

        Stopped, it goes on from the job's state, which stays until whoever gave it removes it. Where the job keeps no
        weights, they are judged in the same way, from a file that does not stay.
        """
        if job.weights is None:
            with tempfile.TemporaryDirectory() as folder:
                return self.run(replace(job, weights=Path(folder) / "weights.safetensors"))
        job, method, budget = self._new(job)
        every = max(1, budget.steps // self.evaluations)
        settings = replace(budget.training(job.cell.seed, job.split), evaluate_every=every, save_every=100)
        history = train(method, job.images, job.split, settings, state_path=job.state, snapshot_count=self.shown)
        if self.settled:
            settle_batch_statistics(method.backbone, job.images.images[job.split.train])
        about = {**asdict(method.settings), "widths": budget.widths, "codeword_use": codeword_use(history)}
        save_checkpoint(job.weights, method, about, history, dtype=torch.float16)
        return self._judged(job, method, job.weights)

    def evaluate(self, job: Job, path: Path) -> Sequence[Value]:
        """Judge the weights in a file."""
        job, method, _ = self._new(job)
        return self._judged(job, method, path)

    def load(self, grid: Grid, images: ImageSet, profile: str) -> Method:
        """The method as its kept weights make it.

        Raises:
            FileNotFoundError: the grid was not recorded for these images and this profile, or its weights are missing.
            ValueError: the file of the weights is not the one that was recorded.
        """
        weights = kept_weights(grid.name, images.name, profile)
        (cell,) = grid.cells(profile, images)
        _, method, _ = self._new(Job(cell, images, cell.split(images), profile))
        load_checkpoint(weights, method)
        return method

    def _judged(self, job: Job, method: Method, path: Path) -> Sequence[Value]:
        load_checkpoint(path, method)
        history, _ = read_history(path)
        return [*self.judge(method, job.images, job.split), validated(history)]

    def _new(self, job: Job) -> tuple[Job, Method, Budget]:
        budget = budget_for(job.profile, self.budget)
        if self.side is not None:
            job = replace(job, images=job.images.resized(self.side))
        return job, self.build(job, budget), budget


def long_grid(
    name: str, title: str, kind: str, cell: Callable[[str, ImageSet], Cell], long: LongRun, seconds: float
) -> Grid:
    """The grid of one long run.

    Args:
        name, title, kind, seconds: as `Grid` has them.
        cell: the cell without its checkpoint, of the profile and the images.
        long: what is done.
    """

    def cells(profile: str, images: ImageSet) -> list[Cell]:
        return [replace(cell(profile, images), checkpoint=f"{name}-{images.name}-{profile}.safetensors")]

    return Grid(name, title, kind, cells, long.run, seconds, repeatable=False, evaluate_checkpoint=long.evaluate)
