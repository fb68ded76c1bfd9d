"""A reader's own images: a folder for each class, or a table of paths and labels."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from retrieval_lib.data.catalogue import KNOWN
from retrieval_lib.data.images import ImageSet, image_set
from retrieval_lib.progress import progress

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}
SEPARATOR = ";"


def load_folder(path, *, labels=None, size: int | None = None) -> ImageSet:
    """Read images of one's own.

    Without `labels`, each folder in `path` is a class and its images are the images of that class. With `labels`, a
    CSV file with the columns `path` (relative to `path`) and `label` says which images there are; several labels of
    one image are separated by a semicolon.

    Args:
        path: the folder.
        labels: the CSV file, None for a folder a class.
        size: bring every image to size × size pixels in colour: the middle square, resampled. None takes the images
            as they are, which must then agree in size and channels.

    Raises:
        NotADirectoryError: there is no such folder.
        FileNotFoundError: the CSV file, or an image that it names, is missing.
        ValueError: a class without images, an image that cannot be read or has more than 8 bits a channel, images of
            different size or channels, an image without a label, a table without the two columns or in another encoding
            than UTF-8.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder; give the folder that holds your images.")
    files, names = read_table(root, Path(labels)) if labels is not None else _by_folder(root)
    targets, class_names = to_targets(names)
    return image_set(
        own_name(root), f"the folder {root.resolve().name}", read_images(files, size), targets, class_names
    )


def own_name(root: Path) -> str:
    """The name of a reader's images: that of their folder, but never that of a known data set.

    The views and protocols of a known set are not for these images.
    """
    name = root.resolve().name
    return f"own {name}" if name in KNOWN else name


def to_targets(names: list[list[str]]) -> tuple[torch.Tensor, list[str]]:
    """The names of each image's labels to (N,) class numbers, or (N, L) bool where one has several; and all names."""
    class_names = sorted({name for several in names for name in several})
    number = {name: i for i, name in enumerate(class_names)}
    if all(len(several) == 1 for several in names):
        return torch.tensor([number[several[0]] for several in names]), class_names
    targets = torch.zeros(len(names), len(class_names), dtype=torch.bool)
    for i, several in enumerate(names):
        targets[i, [number[name] for name in several]] = True
    return targets, class_names


def _by_folder(root: Path) -> tuple[list[Path], list[list[str]]]:
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise ValueError(f"{root} has no folders in it; make one for each class, or give a table with labels=….")
    files, names = [], []
    for folder in classes:
        found = sorted(p for p in folder.rglob("[!.]*") if p.suffix.lower() in ENDINGS)
        if not found:
            raise ValueError(f"The class {folder.name} has no images in it; add some, or remove its folder.")
        files += found
        names += [[folder.name]] * len(found)
    return files, names


def read_table(root: Path, table: Path) -> tuple[list[Path], list[list[str]]]:
    """The images that a CSV file names, and the labels of each; raises as `load_folder` does."""
    if not table.is_file():
        raise FileNotFoundError(f"The table of labels {table} does not exist.")
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is not UTF-8 ({error}); save it as `CSV UTF-8`.") from error
    with io.StringIO(text, newline="") as file:
        rows = csv.DictReader(file)
        if not {"path", "label"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{table} has the columns {rows.fieldnames}; it needs `path` and `label`.")
        files, names = [], []
        for line, row in enumerate(rows, start=2):
            file_path = root / (row["path"] or "")
            several = [name.strip() for name in (row["label"] or "").split(SEPARATOR) if name.strip()]
            if not several:
                raise ValueError(f"{table}, line {line}: {row['path']} has no label; give it one or remove the line.")
            if not file_path.is_file():
                raise FileNotFoundError(f"{table}, line {line}: the image {row['path']} is not in {root}.")
            files.append(file_path)
            names.append(several)
    if not files:
        raise ValueError(f"{table} names no images; give a line for each.")
    twice = {file for file, count in Counter(files).items() if count > 1}
    if twice:
        raise ValueError(f"{table} names {min(twice).name} twice; put all its labels into one line, with semicolons.")
    return files, names


def read_images(files: list[Path], size: int | None) -> torch.Tensor:
    """Decode images to (N, C, H, W) uint8; raises as `load_folder` does."""
    arrays, first = [], None
    for file in progress(files, "Reading images"):
        pixels = _read(file, size)
        first = first if first is not None else (pixels.shape, file)
        if pixels.shape != first[0]:
            raise ValueError(
                f"{file.name} is {_shape(pixels.shape)}, but {first[1].name} is {_shape(first[0])}. Images must agree; "
                "give size=… to bring them all to one size in colour."
            )
        arrays.append(pixels)
    tensor = torch.from_numpy(np.stack(arrays))
    return tensor.permute(0, 3, 1, 2).contiguous()


def _read(file: Path, size: int | None) -> np.ndarray:
    try:
        with Image.open(file) as image:
            image.load()
            if image.mode[0] in "IF":  # 16 and 32 bits: brought to 8, they would be cut off at 255, that is white
                raise ValueError(
                    f"{file} has more than 8 bits a channel (mode {image.mode}); save it with 8 bits a channel."
                )
            image = ImageOps.exif_transpose(image)  # a photo taken upright is often stored on its side
            grey = image.mode in ("L", "1") and size is None
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                box = (left, top, left + side, top + side)
                image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{file} cannot be read as an image ({error}); replace or remove it.") from error
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _shape(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width} × {height} pixels, {'grey' if channels == 1 else 'colour'}"
