"""CIFAR-10: 60,000 images of 32 × 32 pixels in ten classes (Krizhevsky, 2009)."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity, extract_archive

from retrieval_lib.data.cache import read_cached, write_cached
from retrieval_lib.data.download import download_folder, downloading
from retrieval_lib.data.images import ImageSet, image_set
from retrieval_lib.data.places import data_folder, in_data_folder, read_arrays, verified_sha256
from retrieval_lib.files import write_whole_folder
from retrieval_lib.progress import progress

JPEG_COPY = "cifar10_jpegbytes.npz"
ARRAYS = (*(f"{kind}_{part}" for kind in ("jpeg", "off", "y") for part in ("train", "test")), "names")


def in_folder() -> ImageSet | None:
    """CIFAR-10 from `RETRIEVAL_DATA`: torchvision's files, its archive, or the JPEG copy."""
    if in_data_folder(CIFAR10.base_folder):
        return _from_torchvision(data_folder())
    archive = in_data_folder(CIFAR10.filename)
    if archive:
        return _from_torchvision(_unpacked(archive))
    path = in_data_folder(JPEG_COPY)
    return _from_jpeg_copy(path) if path else None


def in_cache() -> ImageSet | None:
    """CIFAR-10 from an earlier download."""
    folder = download_folder("cifar10")
    return _from_torchvision(folder) if (folder / CIFAR10.base_folder).is_dir() else None


def downloaded() -> ImageSet:
    """CIFAR-10 from its publisher, by torchvision, which verifies the checksums."""
    with downloading("cifar10", CIFAR10.url) as folder:
        CIFAR10(folder, download=True)
        (folder / CIFAR10.filename).unlink()  # it is unpacked
    return _from_torchvision(download_folder("cifar10"))


def _unpacked(archive) -> Path:
    """The folder of the cache that the archive is unpacked into; the folder that it lies in stays as it is."""
    folder = download_folder("cifar10")
    if (folder / CIFAR10.base_folder).is_dir():
        return folder
    if not check_integrity(archive, CIFAR10.tgz_md5):
        raise ValueError(f"{archive} has the wrong checksum: it is damaged or incomplete; copy it again.")
    try:
        with write_whole_folder(folder) as partial:
            extract_archive(archive, partial)
    except OSError as error:
        raise OSError(f"{archive} could not be unpacked into {folder} ({error}); make room, or unpack it.") from error
    return folder


def _from_torchvision(folder) -> ImageSet:
    try:
        parts = [CIFAR10(folder, train=train, download=False) for train in (True, False)]
    except RuntimeError as error:
        raise ValueError(f"CIFAR-10 in {folder} is incomplete or has a wrong checksum; remove it ({error}).") from error
    images = torch.from_numpy(np.concatenate([p.data for p in parts])).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([label for p in parts for label in p.targets])
    part = torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])
    return image_set("cifar10", "the publisher's files", images, labels, parts[0].classes, part)


def _from_jpeg_copy(path) -> ImageSet:
    key = f"cifar10-{verified_sha256(path)[:24]}"
    cached = read_cached(key)
    if cached is not None:
        return cached
    arrays = read_arrays(path, ARRAYS)
    decoded, labels, parts = [], [], []
    for number, part in enumerate(("train", "test")):
        bytes_, offsets, y = arrays[f"jpeg_{part}"], arrays[f"off_{part}"], arrays[f"y_{part}"]
        if len(offsets) != len(y) + 1 or offsets[-1] != len(bytes_):
            raise ValueError(f"{path}: {len(offsets) - 1} images in part {part} do not match its {len(y)} labels.")
        decoded.append(_decode(bytes_, offsets, f"Decoding CIFAR-10, {part} part"))
        labels.append(torch.from_numpy(y.astype(np.int64)))
        parts.append(torch.full((len(y),), number))
    images = image_set(
        "cifar10",
        f"JPEG copy ({JPEG_COPY})",
        torch.cat(decoded),
        torch.cat(labels),
        arrays["names"],
        torch.cat(parts),
    )
    write_cached(key, images)
    return images


def _decode(bytes_: np.ndarray, offsets: np.ndarray, label: str) -> torch.Tensor:
    """JPEG images, one after the other in `bytes_`, to (N, 3, 32, 32) uint8."""
    images = np.empty((len(offsets) - 1, 32, 32, 3), np.uint8)
    for i in progress(range(len(images)), label):
        try:
            with Image.open(io.BytesIO(bytes_[offsets[i] : offsets[i + 1]].tobytes())) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{label}: image {i} is damaged ({error}); copy the file again.") from error
        if pixels.shape != images.shape[1:]:
            raise ValueError(f"{label}: image {i} is {pixels.shape[1]} × {pixels.shape[0]} pixels; expected 32 × 32.")
        images[i] = pixels
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
