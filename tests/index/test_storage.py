"""An index on disk: the same again, refused where it was touched, open to plain faiss."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from retrieval_lib.index import HammingIndex, PQIndex, load_index, save_index
from retrieval_lib.index.storage import _digest, sidecar
from retrieval_lib.quantization import ProductQuantizer
from tests.index.conftest import whole_numbers

KINDS = ["hamming", "plain", "inner product", "fast", "rotated", "rotated and fast"]

PLAIN_FAISS = """
import sys, numpy, faiss
path, queries, binary, out = sys.argv[1:]
index = faiss.read_index_binary(path) if binary == "True" else faiss.read_index(path)
distances, ids = index.search(numpy.load(queries), 10)
assert not [name for name in sys.modules if name.startswith("retrieval_lib")]
numpy.savez(out, distances=distances, ids=ids)
"""


@pytest.fixture(params=KINDS)
def searched(request, generator, rotated):
    """An index and queries for it."""
    if request.param == "hamming":
        index = HammingIndex(20)
        index.add(torch.rand(300, 20, generator=generator) < 0.5)
        return index, torch.rand(5, 20, generator=generator) < 0.5
    quantizer = rotated if "rotated" in request.param else ProductQuantizer(rotated.codebooks)
    metric = "inner product" if request.param == "inner product" else "squared Euclidean"
    index = PQIndex(quantizer, metric, fast="fast" in request.param, refine=8)
    index.add(torch.randint(0, 16, (300, 4), generator=generator))
    return index, whole_numbers(5, 8, generator=generator)


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_saved_and_loaded_is_the_same(searched, tmp_path):
    index, queries = searched
    save_index(index, tmp_path / "a.faiss", "split")
    again = load_index(tmp_path / "a.faiss", "split")
    assert type(again) is type(index) and (again.bits, again.metric, len(again)) == (index.bits, index.metric, 300)
    assert same(index.search(queries, 10), again.search(queries, 10))


def test_plain_faiss_opens_it_without_this_library(searched, tmp_path):
    index, queries = searched
    save_index(index, tmp_path / "a.faiss", "split")
    binary = isinstance(index, HammingIndex)
    np.save(tmp_path / "q.npy", index._packed(queries) if binary else queries.numpy())
    command = [
        sys.executable,
        "-c",
        PLAIN_FAISS,
        tmp_path / "a.faiss",
        tmp_path / "q.npy",
        str(binary),
        tmp_path / "out",
    ]
    subprocess.run(command, check=True, cwd=tmp_path)
    found = np.load(tmp_path / "out.npz")
    distances, ids = index.search(queries, 10)
    sign = -1 if index.metric == "inner product" else 1
    assert (sign * found["distances"] == distances.numpy()).all() and (found["ids"] == ids.numpy()).all()


def test_a_truncated_file_is_refused(searched, tmp_path):
    path = tmp_path / "a.faiss"
    save_index(searched[0], path, "split")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"a\.faiss is truncated or altered"):
        load_index(path)


def test_one_changed_byte_is_refused(searched, tmp_path):
    path = tmp_path / "a.faiss"
    save_index(searched[0], path, "split")
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="truncated or altered"):
        load_index(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bits", 24),
        ("metric", "inner product"),
        ("count", 299),
        ("split_hash", "other"),
        ("kind", "PQIndex"),
        ("format", 2),
    ],
)
def test_a_changed_side_car_is_refused(tmp_path, generator, name, value):
    index = HammingIndex(20)
    index.add(torch.rand(300, 20, generator=generator) < 0.5)
    save_index(index, tmp_path / "a.faiss", "split")
    path = sidecar(tmp_path / "a.faiss")
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match="was altered"):
        load_index(tmp_path / "a.faiss")


@pytest.mark.parametrize(
    ("change", "holds"), [({"count": 299}, "20 bits"), ({"bits": 12}, "24 bits"), ({"bits": 40}, "24 bits")]
)
def test_a_side_car_of_another_index_is_refused(tmp_path, generator, change, holds):
    """Its checksums may all be right, and still it tells of other codes than the file holds, which has whole bytes."""
    index = HammingIndex(20)
    index.add(torch.rand(300, 20, generator=generator) < 0.5)
    save_index(index, tmp_path / "a.faiss", "split")
    path = sidecar(tmp_path / "a.faiss")
    told = json.loads(path.read_text()) | change
    path.write_text(json.dumps(told | {"sha256": _digest(told)}))
    with pytest.raises(ValueError, match=f"holds 300 codes of {holds}"):
        load_index(tmp_path / "a.faiss")


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}"])
def test_a_broken_side_car_is_refused(tmp_path, generator, content):
    index = HammingIndex(8)
    index.add(torch.rand(3, 8, generator=generator) < 0.5)
    save_index(index, tmp_path / "a.faiss", "split")
    sidecar(tmp_path / "a.faiss").write_text(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_index(tmp_path / "a.faiss")


def test_another_split_is_refused(tmp_path, generator):
    index = HammingIndex(8)
    index.add(torch.rand(3, 8, generator=generator) < 0.5)
    save_index(index, tmp_path / "a.faiss", "split")
    assert len(load_index(tmp_path / "a.faiss")) == 3
    with pytest.raises(ValueError, match="the database of another split"):
        load_index(tmp_path / "a.faiss", "another")


@pytest.mark.parametrize("missing", ["a.faiss", "a.faiss.json"])
def test_a_missing_file_is_named(tmp_path, generator, missing):
    index = HammingIndex(8)
    index.add(torch.rand(3, 8, generator=generator) < 0.5)
    save_index(index, tmp_path / "a.faiss", "split")
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"{missing} is missing"):
        load_index(tmp_path / "a.faiss")


def test_a_failed_save_keeps_the_old_file(tmp_path, generator, monkeypatch):
    path, index = tmp_path / "a.faiss", HammingIndex(8)
    index.add(torch.rand(3, 8, generator=generator) < 0.5)
    save_index(index, path, "split")
    before = sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir())

    def full_disk(index, name):
        raise OSError("No space left on device")

    monkeypatch.setattr("faiss.write_index_binary", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_index(index, path, "split")
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir()) == before
