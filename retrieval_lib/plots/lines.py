"""Lines with their intervals, and the trade-off of quality against cost."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import QUIET, WIDTH, finish, line_style, marker_style, set_titles

REFERENCE_DASHES = ("--", ":", "-.")  # of lines that have no markers


def by_bits(table: pd.DataFrame, ylabel: str, references: Mapping[str, float] | None = None, title: str = "") -> Figure:
    """A line for each method against the number of bits, with the interval of its mean over seeds.

    Args:
        table: columns method, bits, mean, low and high, as `retrieval_lib.experiments.over_seeds` gives them.
        ylabel: what the mean is of.
        references: horizontal lines by name, for what has no bits.
        title: above the figure.

    Raises:
        ValueError: the table is empty, or a column is missing.
    """
    return by_number(table, "bits", "bits", ylabel, references, title)


def by_number(
    table: pd.DataFrame,
    column: str,
    xlabel: str,
    ylabel: str,
    references: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """A line for each method against a positive number, on a logarithmic axis, with the interval of its mean over seeds.

    Args:
        table: columns method, mean, low, high, and the number.
        column: that holds the number.
        xlabel: what the number is.
        ylabel, references, title: as `by_bits`.

    Raises:
        ValueError: the table is empty, or a column is missing.
    """
    missing = {"method", column, "mean", "low", "high"} - set(table.columns)
    if missing or table.empty:
        raise ValueError(f"The table has {len(table)} rows and lacks the columns {sorted(missing)}.")
    figure, axis = plt.subplots(layout="constrained", figsize=(WIDTH, 4.6))
    for number, (name, value) in enumerate((references or {}).items()):
        axis.axhline(value, color=QUIET, linewidth=1.6, linestyle=REFERENCE_DASHES[number % 3], label=name)
    for number, (method, part) in enumerate(table.groupby("method", sort=False)):
        part = part.sort_values(column)
        places, style = part[column].astype(float), line_style(number)
        axis.fill_between(places, part["low"], part["high"], alpha=0.2, color=style["color"], linewidth=0)
        axis.plot(places, part["mean"], label=method, **style)
    ticks = sorted(table[column].astype(float).unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [f"{t:,g}" for t in ticks])
    axis.minorticks_off()
    set_titles(axis, xlabel, ylabel, title)
    _legend_below(figure, axis)
    return finish(figure)


def precision_recall(curves: Mapping[str, tuple[Tensor, Tensor]], chance: float | None = None) -> Figure:
    """Precision against recall, a line for each search.

    Args:
        curves: by name, recall (P,) and precision (P,).
        chance: the precision of a random ranking, drawn as a dashed line.

    Raises:
        ValueError: there are no curves, or recall and precision differ in length.
    """
    if not curves or any(len(recall) != len(precision) for recall, precision in curves.values()):
        raise ValueError("Give at least one curve, each with as many values of recall as of precision.")
    figure, axis = plt.subplots(layout="constrained")
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        style = line_style(number)
        axis.plot(recall.numpy(), precision.numpy(), label=name, markevery=0.12, **style)
    if chance is not None:
        axis.axhline(chance, color=QUIET, linestyle="--", linewidth=1.2, label="chance")
    axis.set(xlim=(0, 1), ylim=(0, None))
    set_titles(axis, "recall", "precision")
    axis.legend()
    return finish(figure)


def trade_off(rows: Sequence[Mapping], ylabel: str, title: str = "") -> Figure:
    """Quality against memory, and against time: two panels that share their vertical axis.

    Args:
        rows: for each search a mapping with method, quality, bytes (an image) and milliseconds (a query); where it
            has low and high as well, they are drawn as the interval of the quality.
        ylabel: what the quality is.
        title: above the figure.

    Raises:
        ValueError: there are no rows, or one lacks an entry.
    """
    if not rows or any({"method", "quality", "bytes", "milliseconds"} - set(row) for row in rows):
        raise ValueError("Each row needs method, quality, bytes and milliseconds, and there must be one.")
    table = pd.DataFrame(rows)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.4), sharey=True, layout="constrained")
    for axis, column, told in (
        (axes[0], "bytes", "bytes per image"),
        (axes[1], "milliseconds", "milliseconds per query"),
    ):
        for number, (method, part) in enumerate(table.groupby("method", sort=False)):
            style = marker_style(number)
            part = part.sort_values("bytes")
            axis.plot(part[column], part["quality"], linestyle="-", linewidth=1, label=method, **style)
            if {"low", "high"} <= set(part):
                axis.vlines(part[column], part["low"], part["high"], color=style["color"], linewidth=1.5)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        set_titles(axis, told)
    axes[0].set_ylabel(ylabel)
    _legend_below(figure, axes[0])
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finish(figure)


def _legend_below(figure: Figure, axis) -> None:
    """The legend of an axis outside of it, where it can hide no point."""
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
