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
    figure, axes = plt.subplots(1, 3 if perplexity else 2, figsize=(WIDTH, 3.2), layout="constrained")
    loss_panel(axes[0], history)
    score_panel(axes[1], history)
    if perplexity:
        axes[2].plot(*zip(*perplexity, strict=True), **line_style(0))
        axes[2].set_ylim(0, None)
        set_titles(axes[2], "step", "", "least perplexity")
    return finish(figure)
