"""Search of a database of codes: faiss behind our indexes, against loops over queries in numpy, and torch.

    python benchmarks/search.py [--database 200000] [--queries 200] [--k 100]

All search the same random codes in one run, on one thread; the codes of 48 bits stand for the codebooks that GPQ's long
run learned. All find the first images, not their distances alone. *Published loop* is what the authors' scripts do: for each
query fill the table, add up its entries, sort all images. Distances must agree, else the script ends with an error. Run it on an idle machine.
"""

import argparse
import time
from collections.abc import Callable

import faiss
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from retrieval_lib.hashing import pack_bits
from retrieval_lib.index import HammingIndex, PQIndex
from retrieval_lib.methods.gpq import GPQSettings, soft_quantized
from retrieval_lib.paths import checkpoints_folder
from retrieval_lib.quantization import ProductQuantizer, intra_normalize

BITS = 64


def timed(search: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """(sorted distances, seconds), the shortest of three runs."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        distances = search()
        best = min(best, time.perf_counter() - started)
    return distances.float(), best


def compare(title: str, searches: dict[str, Callable[[], Tensor]], queries: int, inexact: str = "") -> None:
    """Print milliseconds a query and ratios to the first of them.

    Raises:
        SystemExit: distances differ; `inexact` names one that may miss some.
    """
    print(f"\n{title}")
    results = {name: timed(search) for name, search in searches.items()}
    reference, fastest = next(iter(results.values()))
    for name, (distances, seconds) in results.items():
        wrong = ((distances - reference).abs() > 1e-3 * (1 + reference.abs())).float().mean()
        print(f"  {name:28} {1e3 * seconds / queries:8.3f} ms a query  {seconds / fastest:7.2f} x ours, exact")
        if wrong and name != inexact:
            raise SystemExit(f"{title}: the distances of {name} differ from ours in {wrong:.1%} of the places.")
        if name == inexact:
            print(f"  {'':28} {1 - wrong:.2%} of its sorted distances are those of the exact search")


def hamming_searches(query: Tensor, database: Tensor, k: int) -> dict[str, Callable[[], Tensor]]:
    """Ways to search binary codes."""
    index = HammingIndex(BITS)
    index.add(database)
    packed_query, packed = pack_bits(query).numpy(), pack_bits(database).numpy()
    signs, signs_query = database.float() * 2 - 1, query.float() * 2 - 1

    def numpy_loop() -> Tensor:
        rows = []
        for code in packed_query:
            distances = np.bitwise_count(code ^ packed).sum(1, dtype=np.int32)
            first = np.argpartition(distances, k - 1)[:k]
            rows.append(distances[first[np.argsort(distances[first])]])
        return torch.from_numpy(np.stack(rows))

    def matmul() -> Tensor:
        return torch.cat(
            [(BITS - (part @ signs.T)).mul_(0.5).topk(k, largest=False).values for part in signs_query.split(16)]
        )

    return {"ours (faiss)": lambda: index.search(query, k)[0], "numpy loop": numpy_loop, "torch matmul": matmul}


def product_searches(
    query: Tensor, codes: Tensor, quantizer: ProductQuantizer, k: int, metric: str
) -> dict[str, Callable[[], Tensor]]:
    """Ways to search product codes; all fill the same tables, or multiply by what the codes stand for."""
    columns = codes.T.contiguous()
    decoded = quantizer.decode(codes)
    euclidean = metric == "squared Euclidean"
    squares = (decoded**2).sum(1) if euclidean else torch.zeros(len(decoded))

    def index(fast: bool) -> PQIndex:
        made = PQIndex(quantizer, metric, fast=fast)
        made.add(codes)
        return made

    exact, scan = index(False), index(True) if quantizer.codebooks.shape[1] == 16 else None

    def numpy_loop(sort_all: bool) -> Tensor:
        rows = []
        for table in quantizer.look_up_tables(query, metric).numpy():
            distances = sum(row[column] for row, column in zip(table, columns.numpy(), strict=True))
            if sort_all:
                first = np.argsort(distances)[:k]
            else:
                first = np.argpartition(distances, k - 1)[:k]
                first = first[np.argsort(distances[first])]
            rows.append(distances[first])
        return torch.from_numpy(np.stack(rows))

    def gather() -> Tensor:
        parts = []
        for part in quantizer.look_up_tables(query, metric).split(4):  # (q, M, K)
            entries = part.gather(2, columns.expand(len(part), -1, -1))  # (q, M, N)
            parts.append(entries.sum(1).topk(k, largest=False).values)
        return torch.cat(parts)

    def matmul() -> Tensor:
        parts = []
        for part in query.split(16):
            distances = torch.addmm(squares, part, decoded.T, alpha=-2 if euclidean else -1)
            if euclidean:
                distances += (part**2).sum(1, keepdim=True)
            parts.append(distances.topk(k, largest=False).values)
        return torch.cat(parts)

    searches = {"ours (faiss)": lambda: exact.search(query, k)[0]}
    if scan:
        searches["ours, fast scan refined"] = lambda: scan.search(query, k)[0]
    return searches | {
        "numpy loop": lambda: numpy_loop(False),
        "published loop, all sorted": lambda: numpy_loop(True),
        "torch gather": gather,
        "torch matmul on decoded": matmul,
    }


def learned_quantizer() -> ProductQuantizer:
    """The codebooks of GPQ's long run, mixed from its prototypes: 12 of 16 codewords of 12 numbers.

    Raises:
        FileNotFoundError: the long run is not recorded.
    """
    kept = load_file(checkpoints_folder() / "gpq-long-cifar10-book.safetensors")
    rows, prototypes = kept["codebooks"].float().transpose(0, 1), intra_normalize(kept["prototypes"].float())
    mixed = soft_quantized(rows, prototypes, GPQSettings().sharpness)  # (K, M, d)
    return ProductQuantizer(mixed.transpose(0, 1).contiguous())


def main() -> None:
    """Draw codes, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--k", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    print(f"torch {torch.__version__}, numpy {np.__version__}, faiss {faiss.__version__}, one thread")
    print(f"{options.queries:,} queries, database of {options.database:,}, the first {options.k}")
    generator = torch.Generator().manual_seed(0)
    query, database = (torch.rand(n, BITS, generator=generator) < 0.5 for n in (options.queries, options.database))
    compare(f"{BITS} bits, Hamming", hamming_searches(query, database, options.k), options.queries)
    drawn = [
        (ProductQuantizer(torch.randn(books, words, length, generator=generator)), "squared Euclidean")
        for books, words, length in ((16, 16, 8), (8, 256, 16))
    ]
    for quantizer, metric in (*drawn, (learned_quantizer(), "inner product")):
        books, words, _ = quantizer.codebooks.shape
        codes = torch.randint(0, words, (options.database, books), generator=generator)
        floats = torch.randn(options.queries, quantizer.dimension, generator=generator)
        searches = product_searches(floats, codes, quantizer, options.k, metric)
        title = f"{quantizer.bits} bits, {books} codebooks of {words} codewords, ADC by {metric}"
        compare(title, searches, options.queries, "ours, fast scan refined")


if __name__ == "__main__":
    main()
