"""Labeled Faces in the Wild (Huang et al., 2007): people with at least eight images, 64 × 64 pixels.

People are numbers here. Their names stay in the file that they came in.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import fetch_lfw_people
from sklearn.datasets._lfw import FUNNELED_ARCHIVE

from retrieval_lib.data.cache import cache_folder, read_cached, write_cached
from retrieval_lib.data.download import download_folder, downloading
from retrieval_lib.data.images import ImageSet, image_set
from retrieval_lib.data.places import data_folder, in_data_folder, read_arrays, verified_sha256
from retrieval_lib.files import sha256_of_file

CROPPED = "faces_lfw.npz"
SMALLEST = 8  # images a person
IMAGES, PEOPLE = 13_233, 5_749  # all that the archive holds
ROWS, COLUMNS = slice(66, 194), slice(61, 189)  # of the 250 × 250 original: the face, 128 × 128, halved to 64 × 64


def in_folder() -> ImageSet | None:
    """LFW from `RETRIEVAL_DATA`: the cropped copy, or scikit-learn's folder."""
    path = in_data_folder(CROPPED)
    if path:
        return _from_cropped(path)
    return _from_readers_folder(data_folder()) if in_data_folder("lfw_home") else None


def in_cache() -> ImageSet | None:
    """LFW from an earlier download."""
    folder = download_folder("lfw")
    return _from_scikit_learn(folder) if (folder / "lfw_home" / "lfw_funneled").is_dir() else None


def downloaded() -> ImageSet:
    """LFW by scikit-learn, which verifies the checksum."""
    with downloading("lfw", FUNNELED_ARCHIVE.url) as folder:
        images = _from_scikit_learn(folder, download=True)
        shutil.rmtree(folder / "lfw_home" / "joblib", ignore_errors=True)  # a second copy of the pixels, as floats
    return images


def _from_cropped(path) -> ImageSet:
    verified_sha256(path)
    arrays = read_arrays(path, ("images", "labels"))
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.shape[1:] != (64, 64, 3):
        raise ValueError(f"{path}: images are {images.dtype} of shape {images.shape}; expected uint8 (N, 64, 64, 3).")
    return _faces(f"deep-funneled images, cropped ({CROPPED})", images, labels)


def _from_readers_folder(home: Path) -> ImageSet:
    """scikit-learn unpacks the archive beside it, removes it, and keeps a copy of the pixels: not in a reader's folder."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as own:
        linked = Path(own) / "lfw_home"
        linked.mkdir()
        for entry in (home / "lfw_home").iterdir():
            if entry.name != "joblib":
                (linked / entry.name).symlink_to(entry.resolve())
        return _from_scikit_learn(own, named=home)


def _from_scikit_learn(home, named: Path | None = None, download: bool = False) -> ImageSet:
    key = f"lfw-funneled-{FUNNELED_ARCHIVE.checksum[:24]}"
    cached = None if download else read_cached(key)
    if cached is not None:
        return cached
    if not download:
        _check_whole(Path(home) / "lfw_home")
    try:
        people = fetch_lfw_people(
            data_home=str(home), funneled=True, color=True, resize=0.5, slice_=(ROWS, COLUMNS),
            min_faces_per_person=SMALLEST, download_if_missing=download,
        )  # fmt: skip
    except OSError as error:
        if download:
            raise
        raise ValueError(
            f"scikit-learn's LFW in {named or home} is incomplete ({error}); remove its folder."
        ) from error
    pixels = (people.images * 255).round().astype(np.uint8)
    images = _faces("funneled images, by scikit-learn", pixels, people.target)
    write_cached(key, images)
    return images


def _check_whole(home: Path) -> None:
    """Refuse half a folder, or a damaged archive: scikit-learn looks for their names only, where it does not download.

    Raises:
        ValueError: the folder holds another number of images than LFW, or the archive is another file.
    """
    unpacked, archive = home / "lfw_funneled", home / FUNNELED_ARCHIVE.filename
    if unpacked.is_dir():
        counts = [len(list(person.glob("*.jpg"))) for person in unpacked.iterdir() if person.is_dir()]
        images, people = sum(counts), sum(map(bool, counts))
        if (images, people) != (IMAGES, PEOPLE):
            raise ValueError(
                f"{unpacked.resolve()} holds {images:,} images of {people:,} people, but LFW has {IMAGES:,} of "
                f"{PEOPLE:,}: it is incomplete, or another data set; remove it or copy it again."
            )
    elif archive.is_file() and (found := sha256_of_file(archive)) != FUNNELED_ARCHIVE.checksum:
        raise ValueError(
            f"{archive.resolve()} has the wrong checksum: SHA-256 {found}, expected {FUNNELED_ARCHIVE.checksum}. "
            "The file is damaged or incomplete; copy it again."
        )


def _faces(source: str, images: np.ndarray, labels: np.ndarray) -> ImageSet:
    counts = np.bincount(labels)
    kept = counts >= SMALLEST  # (people,)
    number = np.cumsum(kept) - 1
    chosen = kept[labels]
    tensor = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2).contiguous()
    return image_set("lfw", source, tensor, torch.from_numpy(number[labels[chosen]]), range(int(kept.sum())))
