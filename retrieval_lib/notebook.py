"""What only notebooks need: a start that is the same in each, the box that names the images, results in prose."""

import platform

import torch
from IPython.display import Markdown, display

from retrieval_lib import __version__
from retrieval_lib.data import Choice, Split
from retrieval_lib.plots.style import use_style
from retrieval_lib.profiles import current_profile


def set_up(seed: int = 0) -> str:
    """Set the figure style and the seed, print what runs here, and return the profile."""
    use_style()
    torch.manual_seed(seed)
    profile = current_profile()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"retrieval_lib {__version__}, Python {platform.python_version()}, torch {torch.__version__} on {device}, "
        f"profile {profile}"
    )
    return profile


def banner(choice: Choice, split: Split | None = None) -> None:
    """Display the box that says which images a page uses, from which source, and why."""
    images = choice.images
    count, channels, height, width = images.images.shape
    text = (
        f"> **The images of this page: {images.name}.** {count:,} images of {height} × {width} pixels, "
        f"{'grey' if channels == 1 else 'colour'}, {len(images.class_names)} classes; source: {images.source}. "
        f"{choice.reason}"
    )
    if split is not None:
        test = split.searches["test"]
        text += f" Protocol `{split.protocol}`: {len(test.query):,} queries search {len(test.database):,} images."
    display(Markdown(text))


def result(text: str) -> None:
    """Display a sentence that was made from the values at hand, so that text and numbers cannot disagree."""
    display(Markdown(text))
