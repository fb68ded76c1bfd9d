"""mAP@k of 1,000 queries in a database of 54,000: ours, a loop over queries in numpy, and torchmetrics.

    python benchmarks/evaluation.py [--queries 1000] [--database 54000] [--k 1000]

All of them judge the same random inputs in one run. Values must agree where the definitions do, else the script ends
with an error. Run it on an idle machine.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.retrieval import retrieval_average_precision

from retrieval_lib.evaluation import Euclidean, Hamming, Relevance, evaluate

CLASSES = 10
BITS = 64


def timed(judge: Callable[[], float]) -> tuple[float, float]:
    """(value, seconds) of one run."""
    started = time.perf_counter()
    value = judge()
    return value, time.perf_counter() - started


def numpy_loop(distances: Tensor, relevant: Tensor, order: np.ndarray, k: int) -> float:
    """What published code does: a stable argsort for each query, divided by the hits among the first k."""
    scores = []
    for row, marks in zip(distances.numpy()[:, order], relevant.numpy()[:, order], strict=True):
        found = marks[np.argsort(row, kind="stable")[:k]]
        places = np.flatnonzero(found) + 1
        scores.append(np.mean(np.arange(1, len(places) + 1) / places) if len(places) else 0.0)
    return float(np.mean(scores))


def torchmetrics_loop(distances: Tensor, relevant: Tensor, order: np.ndarray, k: int) -> float:
    """torchmetrics wants larger scores first, and drops relevant items scored 0 or less: so they are shifted."""
    storage = torch.from_numpy(order)
    scores = []
    for row, marks in zip(distances, relevant, strict=True):
        positive = (row.max() + 1 - row)[storage].float()
        scores.append(retrieval_average_precision(positive, marks[storage], top_k=k))
    return float(torch.stack(scores).double().mean())


def compare(title: str, distances: Hamming | Euclidean, relevance: Relevance, k: int) -> None:
    """Print seconds and values of all of them.

    Raises:
        SystemExit: two values differ that must agree.
    """
    queries, database = distances.shape
    whole, relevant = distances.block(0, queries), relevance.block(0, queries)  # the loops get the matrix for nothing
    order = torch.randperm(database, generator=torch.Generator().manual_seed(0)).numpy()  # as `seeded` draws it
    judges = {
        f"ours, mAP@{k}, expected": lambda: evaluate(distances, relevance, k=k).mean_average_precision,
        f"ours, mAP@{k}, seeded": lambda: evaluate(distances, relevance, k=k, ties="seeded").mean_average_precision,
        "ours, whole ranking, expected": lambda: evaluate(distances, relevance, k=None).mean_average_precision,
        "ours, whole ranking, seeded": lambda: (
            evaluate(distances, relevance, k=None, ties="seeded").mean_average_precision
        ),
        f"numpy loop, mAP@{k}": lambda: numpy_loop(whole, relevant, order, k),
        "numpy loop, whole ranking": lambda: numpy_loop(whole, relevant, order, database),
        f"torchmetrics, mAP@{k}": lambda: torchmetrics_loop(whole, relevant, order, k),
        "torchmetrics, whole ranking": lambda: torchmetrics_loop(whole, relevant, order, database),
    }
    evaluate(distances, relevance, k=k)  # warms up
    print(f"\n{title}: {queries:,} queries, database of {database:,}")
    results = {}
    for name, judge in judges.items():
        results[name] = timed(judge)
        depth = f"mAP@{k}" if f"@{k}" in name else "whole ranking"
        ratio = results[name][1] / results[f"ours, {depth}, expected"][1]
        print(f"  {name:32} {results[name][1]:8.2f} s  {ratio:6.1f} x ours, expected   {results[name][0]:.6f}")
    for depth in (f"mAP@{k}", "whole ranking"):
        same = [f"ours, {depth}, seeded", f"numpy loop, {depth}"]
        if isinstance(distances, Euclidean):  # torchmetrics leaves ties to an unstable sort; here are next to none
            same += [f"ours, {depth}, expected", f"torchmetrics, {depth}"]
        values = [results[name][0] for name in same]
        agreement = max(values) - min(values)
        print(f"  {depth}: {len(same)} that must agree differ by {agreement:.1e}")
        if agreement > 1e-5:
            raise SystemExit(f"{title}, {depth}: the values differ: {dict(zip(same, values, strict=True))}")


def main() -> None:
    """Draw inputs with some structure, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--database", type=int, default=54_000)
    parser.add_argument("--k", type=int, default=1000)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, numpy {np.__version__}, {torch.get_num_threads()} threads")
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (options.queries + options.database,), generator=generator)
    centres = torch.randn(CLASSES, BITS, generator=generator)
    descriptors = centres[labels] + 3 * torch.randn(len(labels), BITS, generator=generator)
    query, database = descriptors[: options.queries], descriptors[options.queries :]
    relevance = Relevance(labels[: options.queries], labels[options.queries :])
    compare(f"{BITS}-bit codes", Hamming(query >= 0, database >= 0), relevance, options.k)
    compare(f"{BITS} floats", Euclidean(query, database), relevance, options.k)


if __name__ == "__main__":
    main()
