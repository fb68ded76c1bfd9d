"""How often each codeword is used."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.style import BLACK, SHADES, WIDTH, finish, set_titles
from retrieval_lib.quantization import perplexity


def usage_map(usage: Tensor, title: str = "") -> Figure:
    """A cell for each codeword, light where it stands for many images; a cross where it stands for none.

    At the right of each row stands the perplexity of the codebook: how many of its codewords are used in effect.
    Codewords are sorted by their use, since their numbers mean nothing.

    Args:
        usage: (M, K) shares, as `retrieval_lib.quantization.codeword_usage` gives them.
        title: above the figure.

    Raises:
        ValueError: the shares have another shape, or do not sum to 1.
    """
    if usage.ndim != 2 or not ((usage.sum(1) - 1).abs() < 1e-4).all():
        raise ValueError(f"usage has shape {tuple(usage.shape)}; expected shares (M, K) whose rows sum to 1.")
    books, words = usage.shape
    effective = perplexity(usage)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.32 * books + 1.5), layout="constrained")
    mesh = draw_usage(axis, usage)
    set_titles(axis, f"{words} codewords of each codebook, sorted", "codebook", title)
    beside = axis.secondary_yaxis("right")
    beside.set_yticks(range(books), [f"{float(p):.1f}" for p in effective])
    beside.set_ylabel("perplexity", color=BLACK)
    figure.colorbar(mesh, ax=axis, label="use (1: even)", extend="max", pad=0.02)
    return finish(figure)


def draw_usage(axis, usage: Tensor, order: Tensor | None = None):
    """The cells and crosses of `usage_map`; gives what a colour bar needs, 1 being even use.

    Args:
        axis: to draw on.
        usage: (M, K) shares.
        order: (M, K) numbers of codewords, from left to right; None sorts them by their use.
    """
    books, words = usage.shape
    ordered = usage.gather(1, usage.argsort(dim=1, descending=True, stable=True) if order is None else order)
    mesh = axis.imshow(ordered.numpy() * words, cmap=SHADES, vmin=0, vmax=2, aspect="auto")
    axis.grid(False)
    for book, word in (ordered == 0).nonzero().tolist():
        axis.plot(word, book, marker="x", color="white", markersize=5)
    axis.set_yticks(range(books), [str(m + 1) for m in range(books)])
    if order is not None:
        axis.set_xticks([])
        return mesh
    axis.set_xticks([0, words - 1], ["most used", "least used"])
    for label, side in zip(axis.get_xticklabels(), ("left", "right"), strict=True):
        label.set_ha(side)
    return mesh
