"""What a contrastive loss compares: the cosines of a small batch, with the positives and what is left out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import normalize

from retrieval_lib.plots.grid import to_pixels
from retrieval_lib.plots.style import BLACK, GROUND, SHADES, SMALLEST, WIDTH, finish, set_titles


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


def _draw(axis, rows: Tensor, shown: Tensor, names: Sequence[str]):
    count, unit = len(rows), normalize(rows, dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(torch.nan)  # (2B, 2B)
    mesh = axis.imshow(cosines.numpy(), cmap=SHADES, vmin=-1, vmax=1, extent=(0, count, count, 0))
    for i in range(count):
        axis.plot([i + 0.25, i + 0.75], [i + 0.25, i + 0.75], color=BLACK, linewidth=1)
        axis.plot([i + 0.25, i + 0.75], [i + 0.75, i + 0.25], color=BLACK, linewidth=1)
        place = ((i + count // 2) % count + 0.08, i + 0.08)
        for color, width in ((BLACK, 4), (GROUND, 2)):  # seen on dark cells and on light ones
            axis.add_patch(Rectangle(place, 0.84, 0.84, fill=False, edgecolor=color, linewidth=width))
        brightest = 1 if shown.is_floating_point() else 255
        for extent in ((-1.2, -0.2, i + 1, i), (i, i + 1, -0.2, -1.2)):
            axis.imshow(to_pixels(shown[i]), cmap="gray", vmin=0, vmax=brightest, extent=extent)
    axis.set(xlim=(-1.2, count), ylim=(count, -1.2), xticks=[])
    axis.set_yticks([count / 4, 3 * count / 4], names, rotation=90, va="center", fontsize=SMALLEST)
    axis.tick_params(length=0)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return mesh
