"""Queries and what was found for them, as rows of images."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import BLACK, RIGHT, SMALLEST, WIDTH, WRONG, finish

TICK, CROSS = "✓", "✗"
QUERY_SIZE = 1.2  # a query is shown this much larger than a result


def to_pixels(image: Tensor) -> np.ndarray:
    """What matplotlib shows: an image (C, H, W), uint8 or floating-point in [0, 1], to (H, W) or (H, W, 3).

    Raises:
        ValueError: another shape, or floating-point values outside [0, 1], which would be clipped unseen.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"An image has shape {tuple(image.shape)}; expected (1, H, W) or (3, H, W).")
    if image.is_floating_point() and not (float(image.min()) >= 0 and float(image.max()) <= 1):
        raise ValueError(
            f"An image has values from {float(image.min()):.3g} to {float(image.max()):.3g}; "
            "undo its normalisation, so that they lie between 0 and 1."
        )
    array = image.detach().cpu().permute(1, 2, 0).numpy()
    return array[:, :, 0] if array.shape[2] == 1 else array


def retrieval_grid(
    queries: Tensor, found: Tensor, relevant: Tensor, query_names: Sequence[str] = (), title: str | None = None
) -> Figure:
    """A row for each query: the query, then its results in the order of the ranking.

    A right result has a tick and a solid frame, a wrong one a cross and a dashed frame; colour only repeats it.

    Args:
        queries: (Q, C, H, W) uint8, or floating-point in [0, 1].
        found: (Q, k, C, H, W), of the same kind.
        relevant: (Q, k) bool.
        query_names: a name for each query; none to call each "query".
        title: above the figure.

    Raises:
        ValueError: the three do not belong together.
    """
    if found.ndim != 5 or found.shape[:2] != relevant.shape or len(queries) != len(found):
        raise ValueError(
            f"{len(queries)} queries, results of shape {tuple(found.shape)} and marks of shape "
            f"{tuple(relevant.shape)} do not belong together; expected (Q, C, H, W), (Q, k, C, H, W) and (Q, k)."
        )
    if query_names and len(query_names) != len(queries):
        raise ValueError(f"There are {len(query_names)} names for {len(queries)} queries; give one each.")
    rows, columns = relevant.shape
    side = WIDTH / (columns + QUERY_SIZE)  # inches for a result with the gap beside it
    height = side * QUERY_SIZE * found.shape[-2] / found.shape[-1] + 0.15  # with the name above
    figure, axes = plt.subplots(
        rows, columns + 1, figsize=(WIDTH, rows * height + (0.75 if title else 0.45)), squeeze=False,
        layout="constrained", gridspec_kw={"width_ratios": [QUERY_SIZE] + [1] * columns},
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.1, hspace=0.02)
    for row in range(rows):
        _show(axes[row, 0], queries[row], BLACK, "-", 1)
        axes[row, 0].set_title(query_names[row] if query_names else "query", fontsize=SMALLEST, pad=3)
        for rank in range(columns):
            axis, right = axes[row, rank + 1], bool(relevant[row, rank])
            color = RIGHT if right else WRONG
            _show(axis, found[row, rank], color, "-" if right else (0, (2, 1.5)), 2.5)
            axis.set_title(TICK if right else CROSS, fontsize=12, pad=2, color=color, fontweight="bold")
    figure.supxlabel(
        f"{TICK} same label as the query      {CROSS} another label      best match first →", fontsize=SMALLEST
    )
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finish(figure)


def _show(axis, image: Tensor, color: str, linestyle, linewidth: float) -> None:
    axis.imshow(
        to_pixels(image), cmap="gray", vmin=0, vmax=1 if image.is_floating_point() else 255, interpolation="nearest"
    )
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=True, color=color, linewidth=linewidth, linestyle=linestyle)
