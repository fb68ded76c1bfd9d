"""What only notebooks need: a start that is the same in each, the box that names the images, results in prose."""

from collections.abc import Callable

import torch
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from retrieval_lib.data import Choice, Split
from retrieval_lib.experiments.machine import device_name, versions
from retrieval_lib.plots.style import use_style
from retrieval_lib.profiles import current_profile

ABOUT_PROFILES = {
    "quick": "seconds a chapter on embedded images, for tests; its numbers mean little",
    "book": "what the pages show, minutes a chapter on two CPU cores",
    "full": "the papers' settings, for a GPU",
}


def set_up(seed: int = 0) -> str:
    """Set the figure style and torch's seed, print what runs here, and return the profile.

    Raises:
        ValueError: `RETRIEVAL_PROFILE` holds a word that is no profile.
    """
    use_style()
    torch.manual_seed(seed)
    profile = current_profile()
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"{device_name()}; seed {seed}; profile {profile}: {ABOUT_PROFILES[profile]}")
    return profile


def banner(choice: Choice, split: Split | None = None) -> None:
    """Display the box that says which images a page uses, why, from which source, and how they are split.

    Args:
        choice: as `retrieval_lib.data.choose` gives it.
        split: told of in a second line, where there is one.
    """
    images = choice.images
    count, channels, height, width = images.images.shape
    lines = [
        f"**The images of this page: {images.name}.** {count:,} images of {height} × {width} pixels, "
        f"{'grey' if channels == 1 else 'colour'}, {len(images.class_names)} classes. Source: {images.source}. "
        f"{choice.reason} Profile `{current_profile()}`."
    ]
    if images.source.startswith("JPEG copy"):
        lines.append(
            "This is a **JPEG copy**: its pixels differ a little from the original's, and so may the numbers below."
        )
    if split is not None:
        lines.append(_about(split))
    display(Markdown("\n>\n".join(f"> {line}" for line in lines)))


def _about(split: Split) -> str:
    test = split.searches["test"]
    text = f"Protocol `{split.protocol}`: {len(test.query):,} queries search {len(test.database):,} images"
    text += f"; {len(split.train):,} images with labels may be learned from"
    if len(split.unlabelled):
        text += f", and {len(split.unlabelled):,} without"
    return text + "."


def result(text: str) -> None:
    """Display a sentence that was made from the values at hand, so that text and numbers cannot disagree."""
    display(Markdown(text))


def table(rows: list[dict]) -> None:
    """Display a table: a dictionary of texts and numbers for each row, all with the same keys.

    Raises:
        ValueError: there are no rows, or their keys differ.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("A table needs rows that all have the same keys, in the same order.")
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    display(Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines)))


def live(draw: Callable[..., Figure]) -> Callable:
    """A callback for a training: it draws the history so far, over the figure that it drew before.

    Args:
        draw: takes the history and gives a figure.
    """
    shown = []

    def callback(method, history) -> None:
        figure = draw(history)
        if shown:
            shown[0].update(figure)
        else:
            shown.append(display(figure, display_id=True))

    return callback
