"""Differences with their intervals, a row each: whether an interval holds zero is seen at a glance."""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from retrieval_lib.plots.style import QUIET, WIDTH, finish, marker_style, set_titles

LONGEST = 26  # characters of a row's name in one line


def interval_rows(panels: Mapping[str, pd.DataFrame], by: str, xlabel: str) -> Figure:
    """A point and its interval for each row of a table, a panel for each table, all on one scale; zero is marked.

    Args:
        panels: by title, tables with the columns `by`, mean, low and high, as
            `retrieval_lib.experiments.paired.differences` gives them; all with the same rows.
        by: the column that names the rows.
        xlabel: what the mean is of.

    Raises:
        ValueError: there is no table, one is empty, or they have other rows.
    """
    names = [list(table[by]) for table in panels.values()]
    if not names or not names[0] or any(other != names[0] for other in names):
        raise ValueError(f"Give tables with the same rows, at least one; these have {names}.")
    rows = range(len(names[0]))[::-1]  # the first row stands above
    told = [textwrap.fill(name, LONGEST) for name in names[0]]
    height = 1.1 + 0.42 * len(told) + 0.15 * sum(name.count("\n") for name in told)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, height), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for number, (axis, (title, table)) in enumerate(zip(axes.flat, panels.items(), strict=True)):
        style = marker_style(number)
        axis.axvline(0, color=QUIET, linewidth=1.6, linestyle="--")
        axis.hlines(rows, table["low"], table["high"], color=style["color"], linewidth=2)
        axis.plot(table["mean"], rows, linestyle="", **style)
        axis.set_yticks(rows, told)
        axis.set_ylim(-0.6, len(names[0]) - 0.4)
        axis.locator_params(axis="x", nbins=4 if len(panels) < 3 else 3)
        axis.xaxis.set_major_formatter("{x:g}")
        set_titles(axis, "", "", title)
    figure.supxlabel(xlabel, fontsize=12)
    return finish(figure)
