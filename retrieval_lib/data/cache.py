"""Decoded data sets on disk: whole or not at all, and checked against their hash at every reading."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from retrieval_lib.data.images import ImageSet, content_hash
from retrieval_lib.files import write_whole


def cache_folder() -> Path:
    """Where decoded images, features and downloads are kept: `RETRIEVAL_CACHE`, or the user's cache folder."""
    named = os.environ.get("RETRIEVAL_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "retrieval_lib"


def read_cached(key: str) -> ImageSet | None:
    """The data set kept under `key`; None where there is none, or its file is not what was written."""
    path = _path(key)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            images, labels, part = (file.get_tensor(name) for name in ("images", "labels", "part"))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return _refused(path)
    if content_hash(images, labels, part) != about["content_hash"]:
        return _refused(path)
    about["class_names"] = tuple(about["class_names"])
    return ImageSet(images=images, labels=labels, part=part, **about)


def _refused(path: Path) -> None:
    print(f"The cached images in {path} are damaged; they are decoded again.")


def write_cached(key: str, images: ImageSet) -> None:
    """Keep a data set under `key`. Where the disk is full or read-only, say so and go on without."""
    about = {
        "name": images.name,
        "source": images.source,
        "class_names": list(images.class_names),
        "content_hash": images.content_hash,
    }
    tensors = {"images": images.images, "labels": images.labels, "part": images.part}
    try:
        with write_whole(_path(key)) as partial:
            save_file(tensors, partial, metadata={"about": json.dumps(about)})
    except (OSError, SafetensorError) as error:
        print(f"The decoded images could not be kept in {cache_folder()} ({error}); next time they are decoded again.")


def _path(key: str) -> Path:
    return cache_folder() / "images" / f"{key}.safetensors"
