"""What a contrastive loss compares: the cosines of a small batch, with the positives and what is left out."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import normalize

from retrieval_lib.plots.grid import to_pixels
from retrieval_lib.plots.style import BLACK, GROUND, QUIET, SHADES, SMALLEST, WIDTH, finish, set_titles


def contrast_matrices(
    panels: Mapping[str, tuple[Tensor, Tensor]],
    pictures: Mapping[str, tuple[Tensor, Tensor]],
    names: Mapping[str, tuple[str, str]],
) -> Figure:
    """For each contrast the cosines of all its rows; positives are framed, a row's pair with itself is crossed out.

    Args:
        panels: by title, the two sets of vectors (B, D) that are contrasted; row i of one is the partner of row i of
            the other.
        pictures: by title, the pictures (B, C, H, W) that each set was made of.
        names: by title, what the vectors of each set are called.

    Raises:
        ValueError: vectors and pictures do not belong together.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 0.78 * WIDTH / len(panels) + 0.75), layout="constrained"
    )
    for axis, (title, pair) in zip(figure.axes, panels.items(), strict=True):
        count = len(pair[0])
        shown = torch.cat(list(pictures[title]))  # (2B, C, H, W)
        if pair[0].shape != pair[1].shape or len(shown) != 2 * count:
            raise ValueError(
                f"{title}: vectors {tuple(pair[0].shape)} and {tuple(pair[1].shape)} with {len(shown)} pictures do not "
                "belong together; expected two sets (B, D) and a picture for each vector."
            )
        mesh = _draw(axis, torch.cat(list(pair)), shown, names[title])
        set_titles(axis, title=title)
    figure.colorbar(mesh, ax=axes, label="cosine", shrink=0.7)
    return finish(figure)


def contrast_games(
    games: Sequence[tuple[Tensor, Tensor]], pictures: Sequence[tuple[Tensor, Tensor]], names: Sequence[tuple[str, str]]
) -> Figure:
    """All vectors of several games in one matrix: each game's cosines in a block; what no game compares is hatched.

    Args:
        games: for each, the two sets of vectors (B, D) that it contrasts; row i of one is the partner of row i of the
            other.
        pictures: for each, the pictures (B, C, H, W) that each set was made of.
        names: for each, what the vectors of each set are called.

    Raises:
        ValueError: vectors and pictures do not belong together.
    """
    sizes = {len(vectors) for game in games for vectors in game}
    if len(sizes) != 1 or {len(shown) for pair in pictures for shown in pair} != sizes:
        raise ValueError("Every set of every game needs as many vectors as the others, and a picture for each.")
    block = 2 * sizes.pop()
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 * WIDTH), layout="constrained")
    count = block * len(games)
    for corner in permutations(range(0, count, block), 2):
        axis.add_patch(Rectangle(corner, block, block, facecolor="#e8e8e8", edgecolor=QUIET, hatch="//", linewidth=0))
    ticks, told = [], []
    for number, (pair, shown, each) in enumerate(zip(games, pictures, names, strict=True)):
        mesh = _draw(axis, torch.cat(list(pair)), torch.cat(list(shown)), each, number * block)
        ticks += [number * block + block / 4, number * block + 3 * block / 4]
        told += each
    axis.set(xlim=(-1.2, count), ylim=(count, -1.2), aspect="equal")
    axis.set_yticks(ticks, told, rotation=90, va="center", fontsize=SMALLEST)
    figure.colorbar(mesh, ax=axis, label="cosine", shrink=0.7)
    return finish(figure)


def _draw(axis, rows: Tensor, shown: Tensor, names: Sequence[str], first: int = 0):
    """A game's block, its upper left corner at (first, first), with the pictures of its rows at both edges."""
    count, unit = len(rows), normalize(rows, dim=1)
    end = first + count
    cosines = (unit @ unit.T).fill_diagonal_(torch.nan)  # (2B, 2B)
    mesh = axis.imshow(cosines.numpy(), cmap=SHADES, vmin=-1, vmax=1, extent=(first, end, end, first))
    for i in range(count):
        at = first + i
        axis.plot([at + 0.25, at + 0.75], [at + 0.25, at + 0.75], color=BLACK, linewidth=1)
        axis.plot([at + 0.25, at + 0.75], [at + 0.75, at + 0.25], color=BLACK, linewidth=1)
        place = (first + (i + count // 2) % count + 0.08, at + 0.08)
        for color, width in ((BLACK, 4), (GROUND, 2)):  # seen on dark cells and on light ones
            axis.add_patch(Rectangle(place, 0.84, 0.84, fill=False, edgecolor=color, linewidth=width))
        brightest = 1 if shown.is_floating_point() else 255
        for extent in ((-1.2, -0.2, at + 1, at), (at, at + 1, -0.2, -1.2)):
            axis.imshow(to_pixels(shown[i]), cmap="gray", vmin=0, vmax=brightest, extent=extent)
    axis.set(xlim=(-1.2, end), ylim=(end, -1.2), xticks=[])
    axis.set_yticks([first + count / 4, first + 3 * count / 4], names, rotation=90, va="center", fontsize=SMALLEST)
    axis.tick_params(length=0)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return mesh
