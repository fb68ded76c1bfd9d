"""Descriptors in the plane: a map that puts near what is near, and its drawing."""

import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import BLACK, SMALLEST, WIDTH, finish, marker_style

MOST_POINTS = 5000  # UMAP takes about five seconds for 2,000


def fit_map(descriptors: Tensor, how: str = "UMAP", seed: int = 0):
    """A map of descriptors into the plane, fitted once; `map.transform` takes a NumPy array (n, D) to (n, 2).

    Args:
        descriptors: (n, D) float, n from 10 to 5,000.
        how: `UMAP` (McInnes, Healy and Melville, 2018), which keeps neighbours together but no distances, or `PCA`.
        seed: of UMAP.

    Raises:
        ValueError: there is no such map, or too few or too many descriptors.
    """
    if not 10 <= len(descriptors) <= MOST_POINTS:
        raise ValueError(f"{len(descriptors)} descriptors: give 10 to {MOST_POINTS:,}; draw a part of yours.")
    values = descriptors.numpy()
    if how == "PCA":
        from sklearn.decomposition import PCA

        return PCA(2).fit(values)
    if how == "UMAP":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")  # no bar is shown, so none is missed
            warnings.filterwarnings("ignore", message="n_jobs value")  # a seed needs one job, which is meant
            import numba
            from umap import UMAP  # compiles for seconds when it is imported: only where it is used

            numba.config.THREADING_LAYER = "workqueue"  # with OpenMP it would set the number of torch's threads, too
            return UMAP(n_neighbors=15, min_dist=0.1, random_state=seed, n_jobs=1).fit(values)
    raise ValueError(f"There is no map {how!r}; choose UMAP or PCA.")


def embedding_map(
    points: Tensor, labels: Tensor, class_names: Sequence[str], codewords: Tensor | None = None, title: str = ""
) -> Figure:
    """Points in the plane, a colour and a marker for each class; the class's name stands at its middle.

    Args:
        points: (n, 2).
        labels: (n,) class numbers.
        class_names: a name for each class.
        codewords: (K, 2), drawn as large stars; None for none.
        title: above the figure.

    Raises:
        ValueError: points and labels do not belong together.
    """
    if points.shape != (len(labels), 2):
        raise ValueError(f"points have shape {tuple(points.shape)}; {len(labels)} labels need ({len(labels)}, 2).")
    figure, axis = plt.subplots(figsize=(WIDTH, 5.2), layout="constrained")
    for c in labels.unique().tolist():
        own, style = points[labels == c], marker_style(c)
        axis.scatter(
            own[:, 0], own[:, 1], s=16, color=style["color"], marker=style["marker"], edgecolors=BLACK,
            linewidths=0.25, alpha=0.75,
        )  # fmt: skip
    for c in labels.unique().tolist():
        middle = torch.as_tensor(points[labels == c]).median(0).values
        axis.annotate(
            class_names[c], middle.tolist(), ha="center", va="center", fontsize=SMALLEST, color=BLACK,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": BLACK, "alpha": 0.85},
        )  # fmt: skip
    if codewords is not None:
        axis.scatter(codewords[:, 0], codewords[:, 1], s=180, marker="*", color="white", edgecolors=BLACK, zorder=3)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.set_title(title, loc="left")
    return finish(figure)
