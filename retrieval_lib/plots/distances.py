"""Distances of pairs of images of the same class and of different classes."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import BLUE, VERMILION, WIDTH, finish, set_titles

BINS = 40


def distance_histograms(
    panels: Mapping[str, tuple[Tensor, Tensor]], xlabel: str = "distance", label: str = "class"
) -> Figure:
    """A panel for each representation: how far apart are two images of the same class, and of different classes?

    Args:
        panels: by title, the distances (s,) of pairs with the same class and (d,) of pairs with different ones.
        xlabel: below the panels.
        label: what two images have in common, for instance `person`.

    Raises:
        ValueError: there are no panels, or one has no pairs of a kind.
    """
    if not panels or any(not len(part) for pair in panels.values() for part in pair):
        raise ValueError("Give at least one panel, each with pairs of the same class and pairs of different classes.")
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 3.1), layout="constrained", squeeze=False
    )  # panels have scales of their own: distances of different codes do not compare
    for axis, (title, (same, different)) in zip(axes[0], panels.items(), strict=True):
        edges = _edges(torch.cat([same, different]))
        for values, color, hatch, name in (
            (different, VERMILION, "", f"different {label}"), (same, BLUE, "////", f"same {label}"),
        ):  # fmt: skip
            axis.hist(
                values.numpy(), bins=edges, density=True, histtype="stepfilled", alpha=0.35, color=color, hatch=hatch,
                label=name,
            )  # fmt: skip
            axis.hist(values.numpy(), bins=edges, density=True, histtype="step", color=color, linewidth=1.8)
        axis.set_yticks([])
        set_titles(axis, xlabel, "", title)
    axes[0, 0].set_ylabel("share of pairs")
    axes[0, 0].legend(loc="upper left", framealpha=0.9)
    top = axes[0, 0].get_ylim()[1]
    axes[0, 0].set_ylim(0, top * 1.35)  # room for the legend
    return finish(figure)


def _edges(values: Tensor) -> list[float]:
    """Bins of equal width; one or more whole numbers a bin where the distances are whole."""
    low, high = float(values.min()), float(values.max())
    if torch.equal(values, values.round()):
        step = max(1, round((high - low) / BINS))
        return [low - 0.5 + step * i for i in range(int((high - low) // step) + 2)]
    return torch.linspace(low, high + 1e-9, BINS + 1).tolist()
