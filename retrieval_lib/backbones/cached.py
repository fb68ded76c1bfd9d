"""Features computed once: cached whole or not at all, resumed where they were interrupted, checked when read."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from retrieval_lib.backbones.base import Backbone
from retrieval_lib.backbones.features import Features
from retrieval_lib.data import ImageSet, cache_folder
from retrieval_lib.files import write_whole
from retrieval_lib.progress import ProgressLine

BATCH_IMAGES = 32  # larger batches are slower on a processor: their feature maps leave its cache
CHUNK_IMAGES = 1024  # what an interruption loses at most; a multiple of the batch, so that batches stay the same


def cached_features(
    images: ImageSet, backbone: Backbone, indices: Tensor | None = None, *, folder: Path | None = None
) -> Features:
    """Descriptors of images, computed in evaluation mode and kept on disk.

    The file's key is made of the data's content hash, the indices, the backbone's weights and settings and the kind
    of device, so that no other features can be taken for these. They are stored as float16 (0.15 GB for 60,000
    descriptors of EfficientNet-lite0; mAP moves by less than 0.0001) and rounded to it before they are returned, so
    that the first call and later ones give the same. A file that is truncated or altered is computed again; where
    the folder cannot be written to, features are returned without being kept. Both are said in a printed line.

    Args:
        images: the data set.
        backbone: for instance `load_backbone("efficientnet-lite0", channels=3)`; runs on the device of its weights.
        indices: (n,) int64, which images, none twice (see `feature_subset`); None means all.
        folder: where the files go; None means the folder `features` within the library's cache.

    Returns:
        Features with (n, D) float32 values on the CPU.

    Raises:
        ValueError: indices are not one-dimensional int64, are out of range, occur twice, or there are none.
    """
    indices = torch.arange(len(images.images)) if indices is None else indices
    _check_indices(indices, len(images.images))
    folder = Path(folder) if folder is not None else cache_folder() / "features"
    description = _describe(images, backbone, indices)
    key = hashlib.sha256(description.encode()).hexdigest()
    whole, chunks = folder / f"{key}.safetensors", folder / f"{key}.chunks"
    shape = (len(indices), backbone.dimension)
    values = _read(whole, description, shape)
    if values is None:
        values = _extract(images, backbone, indices, description, chunks)
        if _write(whole, values, description):
            shutil.rmtree(chunks, ignore_errors=True)
    return Features(values.float(), indices.clone())


def _check_indices(indices: Tensor, total: int) -> None:
    if indices.ndim != 1 or indices.dtype != torch.int64 or len(indices) == 0:
        raise ValueError(f"indices is {indices.dtype} of shape {tuple(indices.shape)}; expected int64 (n,), n > 0.")
    if indices.min() < 0 or indices.max() >= total:
        raise ValueError(
            f"indices go from {int(indices.min())} to {int(indices.max())}, but the data set has {total:,} images."
        )
    if len(indices.unique()) != len(indices):
        raise ValueError("indices hold an image twice; give each once (indices.unique()).")


def _digest(*tensors: Tensor) -> str:
    """SHA-256 over types, shapes and bytes."""
    sha = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy())
    return sha.hexdigest()


def _describe(images: ImageSet, backbone: Backbone, indices: Tensor) -> str:
    """All that the features depend on, as JSON."""
    weights = backbone.state_dict()
    description = {
        "format": 1,  # to be raised when the same weights come to give other features
        "images": images.content_hash,
        "indices": _digest(indices),
        "backbone": type(backbone).__name__,
        "autocast": str(backbone.autocast),
        "weights": hashlib.sha256(json.dumps(sorted(weights)).encode()).hexdigest()
        + _digest(*(weights[name] for name in sorted(weights))),
        "device": next(backbone.parameters()).device.type,
    }
    description |= {name: getattr(backbone, name) for name in backbone.geometry}
    return json.dumps(description, sort_keys=True)


def _extract(images: ImageSet, backbone: Backbone, indices: Tensor, description: str, folder: Path) -> Tensor:
    """Compute chunk by chunk, taking those that an interrupted run left behind. Returns (n, D) float16."""
    device = next(backbone.parameters()).device
    line = ProgressLine(f"Features of {images.name} by {type(backbone).__name__}", len(indices))
    was_training = backbone.training
    backbone.eval()
    parts, keep = [], True
    try:
        for start in range(0, len(indices), CHUNK_IMAGES):
            chosen = indices[start : start + CHUNK_IMAGES]
            path, chunk_description = folder / f"{start:09}.safetensors", f"{description} {start}"
            part = _read(path, chunk_description, (len(chosen), backbone.dimension))
            if part is None:
                rows = []
                for first in range(0, len(chosen), BATCH_IMAGES):
                    line.update(start + first)
                    pixels = images.images[chosen[first : first + BATCH_IMAGES]].to(device).float() / 255
                    with torch.inference_mode():
                        rows.append(backbone(pixels).half().cpu())
                part = torch.cat(rows)
                keep = keep and _write(path, part, chunk_description)  # after a failure, don't try each chunk again
            parts.append(part)
    finally:
        backbone.train(was_training)
        line.close()
    return torch.cat(parts)


def _write(path: Path, values: Tensor, description: str) -> bool:
    """Write a file whole; on a full disk or in a folder that is not ours, say so and leave nothing behind."""
    metadata = {"description": description, "sha256": _digest(values)}
    try:
        with write_whole(path) as partial:
            save_file({"features": values}, partial, metadata)
    except (OSError, SafetensorError) as error:
        print(f"Features are not kept in {path.parent}: {error}")
        return False
    return True


def _read(path: Path, description: str, shape: tuple[int, int]) -> Tensor | None:
    """The features in a file, or None where there is no such file or its content is not what was written."""
    if not path.exists():
        return None
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        with safe_open(path, "pt") as file:
            metadata, values = file.metadata() or {}, file.get_tensor("features").clone()
        expected = (description, shape, torch.float16, _digest(values))
        if (metadata.get("description"), tuple(values.shape), values.dtype, metadata.get("sha256")) == expected:
            return values
    print(f"The cached features in {path} are damaged or altered; they are computed again.")
    return None
