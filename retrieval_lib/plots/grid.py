"""Queries and what was found for them, as rows of images."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import RIGHT, WRONG

TICK, CROSS = "✓", "✗"


def to_pixels(image: Tensor) -> np.ndarray:
    """(C, H, W) uint8 to what matplotlib shows: (H, W) for grey, (H, W, 3) for colour."""
    array = image.permute(1, 2, 0).numpy()
    return array[:, :, 0] if array.shape[2] == 1 else array


def retrieval_grid(
    queries: Tensor, found: Tensor, relevant: Tensor, query_names: Sequence[str] = (), title: str | None = None
) -> Figure:
    """A row for each query: the query, then its results in the order of the ranking.

    A right result has a tick and a solid frame, a wrong one a cross and a dashed frame; colour only repeats it.

    Args:
        queries: (Q, C, H, W) uint8.
        found: (Q, k, C, H, W) uint8.
        relevant: (Q, k) bool.
        query_names: a name for each query, none to leave them out.
        title: above the figure.

    Raises:
        ValueError: the three do not belong together.
    """
    if found.shape[:2] != relevant.shape or len(queries) != len(found):
        raise ValueError(
            f"{len(queries)} queries, results of shape {tuple(found.shape[:2])} and marks of shape "
            f"{tuple(relevant.shape)} do not belong together."
        )
    rows, columns = relevant.shape
    figure, axes = plt.subplots(
        rows, columns + 1, figsize=(0.82 * (columns + 1.4), 1.02 * rows + 0.25), squeeze=False, layout="constrained",
        gridspec_kw={"width_ratios": [1.25] + [1] * columns},
    )  # fmt: skip
    for row in range(rows):
        _show(axes[row, 0], queries[row])
        axes[row, 0].set_title(query_names[row] if query_names else "query", fontsize=10, pad=3)
        for rank in range(columns):
            axis, right = axes[row, rank + 1], bool(relevant[row, rank])
            _show(axis, found[row, rank])
            axis.set_title(TICK if right else CROSS, fontsize=11, pad=1, color=RIGHT if right else WRONG)
            for spine in axis.spines.values():
                spine.set(
                    visible=True, color=RIGHT if right else WRONG, linewidth=2, linestyle="-" if right else (0, (2, 2))
                )
    if title:
        figure.suptitle(title, fontsize=12)
    plt.close(figure)  # the caller shows it; a figure left open would be shown twice
    return figure


def _show(axis, image: Tensor) -> None:
    axis.imshow(to_pixels(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
