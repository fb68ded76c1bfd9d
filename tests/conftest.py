"""What every test starts from: one thread, no network, no data but the embedded, no window."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["RETRIEVAL_OFFLINE"] = "1"

import pytest
import torch

from retrieval_lib.data import image_set

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """A cache of its own for each run of the tests, so that no user's cache is read or filled."""
    monkeypatch.setenv("RETRIEVAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def like_cifar10():
    """60,000 images of one pixel, with the labels and the parts of CIFAR-10 sorted by class, as some copies are."""
    labels = torch.cat([torch.arange(10).repeat_interleave(5000), torch.arange(10).repeat_interleave(1000)])
    part = torch.cat([torch.zeros(50_000), torch.ones(10_000)]).long()
    pixels = torch.zeros(60_000, 3, 1, 1, dtype=torch.uint8)
    return image_set("cifar10", "made up", pixels, labels, range(10), part)
