"""The story of a run from its numbers alone, as a checkpoint keeps them."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from retrieval_lib.plots.panels import loss_panel, score_panel
from retrieval_lib.plots.style import SMALLEST, WIDTH, finish, line_style, set_titles
from retrieval_lib.training import History


def story(history: History, use: Sequence[Mapping] = ()) -> Figure:
    """Each term of the loss, and the validation score, by step; and how the codewords were used, if that is known.

    Args:
        history: of the run; it needs no snapshots.
        use: by step, as `retrieval_lib.experiments.judging.codeword_use` gives it.

    Raises:
        ValueError: the history holds no loss or no score.
    """
    if not history.terms or not history.scores:
        raise ValueError(f"The history has {len(history.terms)} terms and {len(history.scores)} scores; it needs both.")
    rows = [["losses", "score"], ["perplexity", "unused"]] if use else [["losses", "score"]]
    figure, axes = plt.subplot_mosaic(rows, figsize=(WIDTH, 3.6 if len(rows) == 1 else 6.6), layout="constrained")
    loss_panel(axes["losses"], history)
    score_panel(axes["score"], history)
    if use:
        steps = [moment["step"] for moment in use]
        by_book = [moment["perplexity"] for moment in use]
        axes["perplexity"].plot(steps, [sum(each) / len(each) for each in by_book], label="mean", **line_style(0))
        axes["perplexity"].plot(steps, [min(each) for each in by_book], label="least", **line_style(1))
        axes["perplexity"].set_ylim(0, 1.35 * max(map(max, by_book)))  # the legend stands above all lines
        axes["perplexity"].legend(loc="upper center", ncols=2, fontsize=SMALLEST)
        set_titles(axes["perplexity"], "step", "", "perplexity of codebooks")
        axes["unused"].plot(steps, [moment["unused"] for moment in use], **line_style(2))
        axes["unused"].set_ylim(0, None)
        set_titles(axes["unused"], "step", "", "codewords without an image")
    return finish(figure)
