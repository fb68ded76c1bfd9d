"""A book's folder of its own, images read once, and a small grid that keeps real checkpoints."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from retrieval_lib.data import catalogue, load
from retrieval_lib.evaluation import Hamming, Relevance
from retrieval_lib.experiments import Cell, Grid, judge
from retrieval_lib.experiments.record import record_grid
from retrieval_lib.experiments.records import read_records
from retrieval_lib.experiments.spq_long import RUN, SPQ_LONG
from retrieval_lib.hashing.linear import LinearHash, fit_lsh


@pytest.fixture(scope="session")
def digits():
    """The embedded MNIST images, read once."""
    return load("mnist")


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch, digits):
    """An empty book: nothing recorded, no checkpoints; profile quick."""
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setenv("RETRIEVAL_ROOT", str(tmp_path))
    monkeypatch.setenv("RETRIEVAL_PROFILE", "quick")
    monkeypatch.delenv("RETRIEVAL_DATA", raising=False)
    monkeypatch.setitem(catalogue.EMBEDDED, "mnist", lambda: digits)
    return tmp_path


@pytest.fixture
def lists_of_noise(tmp_path):
    """A folder of noise and its lists, as arguments of a command: 20 training images, 6 queries, 36 database images.

    Ten of the database images are training images, too; some images have two labels.
    """
    noise, labels = np.random.default_rng(0), ("cat", "dog;grass", "grass")
    told = ["--images", str(tmp_path)]
    for i in range(52):
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / f"{i}.png")
    for name, numbers in {"train": range(20), "query": range(46, 52), "database": range(10, 46)}.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label"), *((f"{i}.png", labels[i % 3]) for i in numbers)])
        told += [f"--{name}", str(tmp_path / f"{name}.csv")]
    return told


class HashGrid:
    """Eight random planes on the digits, drawn from torch's own generator; cells keep their planes as a checkpoint.

    `ran` lists the seeds of the cells that were run, `weightless` those that keep no checkpoint. Every value is multiplied by `scale`, and
    `noise` is added to it: a run that cannot be repeated.
    """

    def __init__(self):
        self.ran, self.noise, self.stop_at, self.seeds, self.shift = [], 0.0, None, (0, 1, 2), 0.0
        self.weightless, self.scale = (), 1.0

    def cells(self, profile, images):
        return [Cell("LSH", "planes", "mnist-200-1k", 8, s, checkpoint=self._checkpoint(s)) for s in self.seeds]

    def _checkpoint(self, seed):
        return None if seed in self.weightless else f"hash-{seed}.safetensors"

    def run(self, job):
        if job.cell.seed == self.stop_at:
            raise KeyboardInterrupt
        self.ran.append(job.cell.seed)
        database = self._pixels(job, job.split.searches["test"].database)
        code = fit_lsh(database, 8, int(torch.randint(0, 10**6, ())))  # as a training would: from the global generator
        if job.weights is not None:
            save_file({"mean": code.mean, "directions": code.directions}, job.weights)
        return [dataclasses.replace(v, value=self.scale * v.value + self.noise) for v in self._judged(job, code)]

    def evaluate_checkpoint(self, job, path):
        values = self._judged(job, LinearHash(**load_file(path)))
        return [dataclasses.replace(v, value=v.value + self.shift) for v in values]

    def grid(self, **changes):
        made = Grid("hash", "a small grid", "general", self.cells, self.run, 2.0, False, self.evaluate_checkpoint)
        return dataclasses.replace(made, **changes)

    def _judged(self, job, code):
        search, labels = job.split.searches["test"], job.images.labels
        query, database = (code.encode(self._pixels(job, part)) for part in (search.query, search.database))
        return judge(Hamming(query, database), Relevance(labels[search.query], labels[search.database]), k=100)

    @staticmethod
    def _pixels(job, indices):
        return job.images.images[indices].flatten(1).float() / 255


@pytest.fixture
def best_trial(repository):
    """Among a grid's recorded trials, or those whose settings are wanted: the settings of the best one, and how many there are."""

    def best(name, wanted=lambda settings: True, search="held out"):
        records = read_records(repository / "results" / f"{name}.jsonl")
        tried = [record for record in records if wanted(record.cell.settings)]
        scores = [next(v.value for v in record.values if v.search == search) for record in tried]
        return tried[scores.index(max(scores))].cell.settings, len(tried)

    return best


@pytest.fixture
def hashes():
    return HashGrid()


@pytest.fixture
def spq_long_run(digits, book, monkeypatch):
    """SPQ's long run, a tiny one, recorded in the empty book; gives the method."""
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    record_grid(SPQ_LONG)
    return RUN.load(SPQ_LONG, digits, "quick")
