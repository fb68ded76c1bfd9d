"""Panels that the figures of trainings share: losses, score, and points of classes with their names."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from retrieval_lib.plots.style import (
    BLACK,
    QUIET,
    SMALLEST,
    WIDTH,
    finish,
    line_style,
    marker_style,
    set_titles,
)
from retrieval_lib.training import History, Snapshot


def loss_panel(axis, history: History) -> None:
    """Each term of the loss by step; a term may be negative.

    The axis is logarithmic where all terms are positive and one is over ten times as large as another: a small one
    would lie on the floor. It does not begin at zero where no value is below half of the largest: their change would
    not be seen.
    """
    for number, (name, values) in enumerate(history.terms.items()):
        axis.plot(history.steps, values, label=name, **line_style(number))
    told = [value for values in history.terms.values() for value in values]
    if told and min(told) > 0 and max(told) > 10 * min(told):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
    elif told and 0 <= min(told) < max(told) / 2:
        axis.set_ylim(0, 1.05 * max(told))
    axis.set_xlim(0, None)
    set_titles(axis, "step", "", "loss terms, weighted")
    if history.terms:  # below the panel: within it, lines of four terms leave no place free
        axis.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, fontsize=SMALLEST, frameon=False,
            handlelength=1.6, columnspacing=1.0, handletextpad=0.5, borderaxespad=0,
        )  # fmt: skip


def score_panel(axis, history: History) -> None:
    """The validation score by step."""
    axis.plot(history.score_steps, history.scores, **line_style(0))
    axis.set_ylim(0, None)
    set_titles(axis, "step", "", "validation mAP")


def class_styles(labels: Tensor) -> dict[int, dict]:
    """Colour and marker of each class among the labels, by its place among them: few classes never share a colour."""
    return {c: marker_style(place) for place, c in enumerate(labels.unique().tolist())}


def points_panel(axis, points: Tensor, labels: Tensor) -> None:
    """Points (n, 2), a colour and a marker for each class; the axes have no numbers."""
    for c, style in class_styles(labels).items():
        own = points[labels == c]
        axis.scatter(
            own[:, 0], own[:, 1], s=20, color=style["color"], marker=style["marker"], edgecolors=BLACK,
            linewidths=0.3, alpha=0.75,
        )  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.grid(False)


def class_legend(figure: Figure, labels: Tensor, class_names: Sequence[str]) -> None:
    """A legend below the figure: names among the points would hide those of classes that overlap.

    It has five columns, or four where the names are long.
    """
    shown = [
        Line2D([], [], linestyle="", markersize=6, label=class_names[c], **style)
        for c, style in class_styles(labels).items()
    ]
    letters = sum(len(handle.get_label()) for handle in shown) / len(shown)
    columns = 5 if letters < 7 else 4
    figure.legend(handles=shown, loc="outside lower center", ncols=columns, fontsize=SMALLEST, handletextpad=0.1)


def check_history(history: History, labels: Tensor) -> None:
    """Refuse a history without snapshots, or labels of other images.

    Raises:
        ValueError: there is no snapshot yet, or the labels are not those of the fixed images.
    """
    if not history.snapshots or len(labels) != len(history.snapshots[0].descriptors):
        raise ValueError(f"The history has {len(history.snapshots)} snapshots, and {len(labels)} labels were given.")


def spread_moments(history: History, columns: int) -> list[Snapshot]:
    """At most `columns` snapshots, spread evenly; the first and the last are always among them."""
    chosen = torch.linspace(0, len(history.snapshots) - 1, columns).round().long().unique().tolist()
    return [history.snapshots[i] for i in chosen]


def small_multiples(
    moments: Mapping[int, tuple[Tensor, Tensor | None]],
    labels: Tensor,
    class_names: Sequence[str],
    equal: bool = False,
    behind: Mapping[int, Tensor] | None = None,
) -> Figure:
    """Points at several moments, two panels a row; all share their axes, and a legend names the classes.

    Args:
        moments: by step, points (n, 2) and, where there are codewords, these (K, 2).
        labels: (n,) class numbers.
        class_names: a name for each class.
        equal: whether both axes have one scale, so that a circle stays one.
        behind: by step, points (u, 2) without a class, drawn small and grey behind the others.
    """
    rows = -(-len(moments) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(WIDTH, 2.9 * rows), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(moments) :]:
        axis.remove()
    for axis, (step, (points, words)) in zip(axes.flat, moments.items(), strict=False):
        if behind is not None:
            axis.scatter(*behind[step].T, s=5, color=QUIET, alpha=0.35, linewidths=0)
        points_panel(axis, points, labels)
        if words is not None:
            stars(axis, words)
        if equal:
            axis.set_aspect("equal")
        set_titles(axis, title=f"step {step:,}")
    class_legend(figure, labels, class_names)
    return finish(figure)


def stars(axis, words: Tensor) -> None:
    """Codewords (K, 2), over everything else."""
    axis.scatter(words[:, 0], words[:, 1], s=90, linewidths=1, marker="*", color="white", edgecolors=BLACK, zorder=3)
