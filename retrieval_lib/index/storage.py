"""An index on disk: a plain faiss file that any faiss opens, and beside it what the file does not say."""

import hashlib
import json
from pathlib import Path

import faiss
import torch
from torch import Tensor

from retrieval_lib.files import sha256_of_file, write_whole
from retrieval_lib.index.base import Index
from retrieval_lib.index.faiss_codes import from_faiss
from retrieval_lib.index.hamming import HammingIndex
from retrieval_lib.index.inverted import IVFPQIndex
from retrieval_lib.index.product import PQIndex

FORMAT = 1
FIELDS = ("format", "kind", "bits", "metric", "count", "settings", "split_hash", "file_sha256")


def save_index(index: Index, path, split_hash: str) -> None:
    """Write `path`, a faiss file, and `path` with `.json` added: bits, metric, which images, and checksums.

    Args:
        index: a `HammingIndex`, a `PQIndex` or an `IVFPQIndex`.
        path: of the faiss file.
        split_hash: `Split.hash` of the split whose database the index holds: positions mean nothing without it.

    Raises:
        OSError: the files cannot be written; the old ones, where there were any, are kept or no longer fit together.
    """
    path = Path(path)
    binary = isinstance(index, HammingIndex)
    with write_whole(path) as partial:
        (faiss.write_index_binary if binary else faiss.write_index)(index.faiss_index, str(partial))
        checksum = sha256_of_file(partial)
    told = {
        "format": FORMAT,
        "kind": type(index).__name__,
        "bits": index.bits,
        "metric": index.metric,
        "count": len(index),
        "settings": {} if binary else index.settings,
        "split_hash": split_hash,
        "file_sha256": checksum,
    }
    with write_whole(sidecar(path)) as partial:
        partial.write_text(json.dumps(told | {"sha256": _digest(told)}, indent=1) + "\n")


def load_index(path, split_hash: str | None = None) -> Index:
    """Read an index that `save_index` wrote.

    The faiss file is opened only after its checksum was compared.

    Args:
        path: of the faiss file.
        split_hash: of the split that its ids are to be read with; None to take any.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: a file is truncated or altered, the two do not belong together, or the index is of another split.
    """
    path = Path(path)
    told = _read_sidecar(path)
    if sha256_of_file(path) != told["file_sha256"]:
        raise ValueError(f"{path} is truncated or altered: its SHA-256 is not the one in {sidecar(path).name}.")
    if split_hash is not None and told["split_hash"] != split_hash:
        raise ValueError(
            f"{path} holds the database of another split ({told['split_hash'][:12]}…, wanted {split_hash[:12]}…); "
            "its ids would name other images. Build the index again."
        )
    if told["kind"] == "HammingIndex":
        index, found = HammingIndex(told["bits"]), faiss.read_index_binary(str(path))
        bits = index.bits if found.d == index.faiss_index.d else found.d  # the file knows of whole bytes only
        index.faiss_index = found
    else:
        index = _product_index(faiss.read_index(str(path)), told)
        bits = index.bits
    if len(index) != told["count"] or bits != told["bits"]:
        raise ValueError(f"{path} holds {len(index)} codes of {bits} bits; {sidecar(path).name} says otherwise.")
    return index


def sidecar(path: Path) -> Path:
    """The file beside an index that describes it."""
    return path.with_name(path.name + ".json")


def _digest(told: dict) -> str:
    return hashlib.sha256(json.dumps([told[name] for name in FIELDS], sort_keys=True).encode()).hexdigest()


def _read_sidecar(path: Path) -> dict:
    for needed in (path, sidecar(path)):
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed} is missing; an index is two files, {path.name} and {sidecar(path).name}."
            )
    try:
        told = json.loads(sidecar(path).read_text())
        whole = told["sha256"] == _digest(told)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{sidecar(path)} is damaged ({error}); build the index again.") from error
    if not whole:
        raise ValueError(f"{sidecar(path)} was altered: its checksum does not fit. Build the index again.")
    if told["format"] != FORMAT:
        raise ValueError(f"{sidecar(path)} has format {told['format']}; this version reads {FORMAT}.")
    return told


def _product_index(found, told: dict) -> PQIndex:
    """Codebooks, rotation, centres and codes out of a faiss index, into one of ours."""
    quantizer, codes = from_faiss(found)
    if told["kind"] == "IVFPQIndex":
        index = IVFPQIndex(quantizer, _turned_centres(found), told["metric"], **told["settings"], turned=True)
    else:
        index = PQIndex(quantizer, told["metric"], **told["settings"])
    index.add(codes)
    return index


def _turned_centres(found) -> Tensor:
    """(lists, D), rotated where there is a rotation."""
    inner = faiss.downcast_index(found)
    if isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    return torch.from_numpy(inner.quantizer.reconstruct_n(0, inner.nlist))
