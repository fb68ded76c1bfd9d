"""A database of a million, for real: how much memory its evaluation takes. Run by `make test-all`."""

import subprocess
import sys
from pathlib import Path

import pytest

from retrieval_lib.evaluation.evaluate import MEMORY

BESIDE = 64 * 2**20  # bytes: the order of the database and its inverse (16 an image), and what the allocator keeps
SEARCH = """
import sys
import torch
from retrieval_lib.evaluation import ADC, Euclidean, Hamming, Relevance, evaluate, precision_recall_curve

def peak():  # the largest resident size so far, in bytes
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

torch.set_num_threads(1)
kind, queries, database = sys.argv[1], 30, 1_000_000
generator = torch.Generator().manual_seed(0)
def draw(high, *shape, dtype):
    return torch.randint(0, high, shape, generator=generator, dtype=dtype)
relevance = Relevance(draw(10, queries, dtype=torch.int64), draw(10, database, dtype=torch.int64))
if kind == "bits":
    distances = Hamming(draw(2, queries, 64, dtype=torch.bool), draw(2, database, 64, dtype=torch.bool))
elif kind == "codes":
    distances = ADC(torch.rand(queries, 8, 16), draw(16, database, 8, dtype=torch.uint8))
else:
    distances = Euclidean(torch.randn(queries, 32), torch.randn(database, 32))
evaluate(Hamming(torch.ones(2, 8).bool(), torch.ones(9, 8).bool()), Relevance(torch.ones(2).long(), torch.ones(9).long()))
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = peak()
scores = evaluate(distances, relevance, k=None if kind == "whole" else 1000)
seeded = evaluate(distances, relevance, k=1000, ties="seeded")
if kind == "bits":
    precision_recall_curve(distances, relevance)
print(peak() - before, scores.precision, seeded.mean_average_precision)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bits", "codes", "floats", "whole"])
def test_memory_stays_within_the_budget(kind):
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, kind], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    taken, precision, score = map(float, done.stdout.splitlines()[-1].split("\r")[-1].split())
    assert taken < MEMORY + BESIDE
    if kind != "whole":
        assert precision == pytest.approx(0.1, abs=0.02), "a tenth of the images are relevant, by chance"
    assert 0.05 < score < 0.25


@pytest.mark.slow
def test_the_budget_is_what_keeps_it_small():
    """With a budget for all queries at once, the same search takes more than the default allows."""
    large = SEARCH.replace("k=1000, ties", "memory=2**31, k=1000, ties")
    done = subprocess.run(
        [sys.executable, "-c", large, "floats"], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1].split("\r")[-1].split()[0]) > MEMORY + BESIDE
