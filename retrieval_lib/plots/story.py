"""The story of a run from its numbers alone, as a checkpoint keeps them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from retrieval_lib.plots.panels import loss_panel, score_panel
from retrieval_lib.plots.style import WIDTH, finish, line_style, set_titles
from retrieval_lib.training import History


def story(history: History, perplexity: Sequence[tuple[int, float]] = ()) -> Figure:
    """Each term of the loss, and the validation score, by step; and how the codewords were used, if that is known.

    Args:
        history: of the run; it needs no snapshots.
        perplexity: steps, and the perplexity of a codebook then.

    Raises:
        ValueError: the history holds no loss or no score.
    """
    if not history.terms or not history.scores:
        raise ValueError(f"The history has {len(history.terms)} terms and {len(history.scores)} scores; it needs both.")
    rows = [["losses", "score"], ["perplexity", "perplexity"]] if perplexity else [["losses", "score"]]
    figure, axes = plt.subplot_mosaic(rows, figsize=(WIDTH, 3.6 if len(rows) == 1 else 6.2), layout="constrained")
    loss_panel(axes["losses"], history)
    score_panel(axes["score"], history)
    if perplexity:
        axes["perplexity"].plot(*zip(*perplexity, strict=True), **line_style(0))
        axes["perplexity"].set_ylim(0, None)
        set_titles(axes["perplexity"], "step", "", "perplexity of the codebook used least evenly")
    return finish(figure)
