"""A training of product codes made visible: losses, score, which codewords are used, and where they lie."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import normalize, pad

from retrieval_lib.plots.codewords import draw_usage
from retrieval_lib.plots.embedding import fit_map
from retrieval_lib.plots.panels import (
    check_history,
    class_legend,
    loss_panel,
    points_panel,
    score_panel,
    small_multiples,
    spread_moments,
    stars,
)
from retrieval_lib.plots.style import QUIET, SMALLEST, WIDTH, finish, line_style, set_titles
from retrieval_lib.quantization import codeword_usage, perplexity
from retrieval_lib.training import History, Snapshot

RINGS = (0.8, 1.2)  # radii of unlabelled images and of codewords, where labelled images lie on a circle of radius 1


def codebook_training(
    history: History, labels: Tensor, class_names: Sequence[str], codebook: int = 0, angles: bool = False
) -> Figure:
    """Five panels of a run that learns product codes, as far as it has come.

    Above: each term of the loss, and the validation score. In the middle: how often each codeword stands for one of
    the fixed images at the latest snapshot, a cross where it stands for none; and the perplexity by step, the mean and
    the least over the codebooks. Below: one part of the fixed images' descriptors with the codewords (stars) of its
    codebook, in the plane of the parts' two principal directions; as they are where a part has two numbers.

    Args:
        history: of the run; its snapshots hold codes and codebooks.
        labels: (n,) class numbers of the run's fixed images.
        class_names: a name for each class.
        codebook: which part of the descriptors is shown below, from 0 to M - 1.
        angles: for a loss that reads the angles of descriptors only: each descriptor is brought to one length, and the
            codewords are stretched by one factor, so that in mean they are as long as the parts.

    Raises:
        ValueError: there is no snapshot yet, or it holds no codebooks or none of this number, or the labels are not
            those of the fixed images.
    """
    _check(history, labels, codebook)
    latest = history.snapshots[-1]
    figure, axes = plt.subplot_mosaic(
        [["losses", "score"], ["usage", "perplexity"], ["map", "map"]],
        figsize=(WIDTH, 9.6), height_ratios=[1, 1, 1.5], layout="constrained",
    )  # fmt: skip
    loss_panel(axes["losses"], history)
    score_panel(axes["score"], history)
    mesh = draw_usage(axes["usage"], usage_of(latest))
    set_titles(axes["usage"], "", "codebook", f"use of codewords, step {latest.step:,}")
    beside = axes["usage"].inset_axes([1.03, 0, 0.05, 1])  # a long legend above widens the column, not the map
    figure.colorbar(mesh, cax=beside, label="use (1: even)", extend="max")
    _perplexity_panel(axes["perplexity"], history)
    points, words = plane_of(latest, codebook, angles)(latest)
    points_panel(axes["map"], points, labels)
    stars(axes["map"], words)
    class_legend(figure, labels, class_names)
    axes["map"].set_aspect("equal", "datalim")  # a circle stays one
    set_titles(axes["map"], title=f"part {codebook + 1} of the descriptors and its codewords, step {latest.step:,}")
    return finish(figure)


def codewords_over_time(
    history: History,
    labels: Tensor,
    class_names: Sequence[str],
    codebook: int = 0,
    columns: int = 4,
    angles: bool = False,
) -> Figure:
    """Small multiples: one part of the fixed images and its codewords (stars) at several moments, in one plane.

    Args:
        history, labels, class_names, codebook, angles: as `codebook_training`.
        columns: how many moments are shown, spread evenly; the first and the last are always among them.
    """
    _check(history, labels, codebook)
    plane = plane_of(history.snapshots[-1], codebook, angles)
    moments = {s.step: plane(s) for s in spread_moments(history, columns)}
    return small_multiples(moments, labels, class_names, equal=True)


def usage_over_time(history: History, columns: int = 4) -> Figure:
    """Small multiples: how often each codeword stands for one of the fixed images, at several moments.

    A codeword keeps its place: those of a codebook are sorted by their use at the last moment. A cross marks one that
    stands for no image.

    Args:
        history: of the run; its snapshots hold codes and codebooks.
        columns: how many moments are shown, spread evenly; the first and the last are always among them.
    """
    _check(history, history.points, 0)
    moments = spread_moments(history, columns)
    rows, books = -(-len(moments) // 2), len(moments[0].codebooks)
    figure, axes = plt.subplots(
        rows, 2, figsize=(WIDTH, rows * (0.2 * books + 0.9)), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(moments) :]:
        axis.remove()
    order = usage_of(moments[-1]).argsort(dim=1, descending=True, stable=True)  # (M, K)
    for axis, moment in zip(axes.flat, moments, strict=False):
        mesh = draw_usage(axis, usage_of(moment), order)
        set_titles(axis, title=f"step {moment.step:,}")
    for axis in axes[:, 0]:
        axis.set_ylabel("codebook")
    figure.supxlabel("codewords; each keeps its place", fontsize=12)
    figure.colorbar(mesh, ax=axes, label="use (1: even)", extend="max", pad=0.02)
    return finish(figure)


def labelled_and_unlabelled(
    moments: Sequence[tuple[Snapshot, Snapshot]], labels: Tensor, class_names: Sequence[str], codebook: int = 0
) -> Figure:
    """Small multiples: one part of labelled and of unlabelled images with its codewords (stars), in one plane.

    Unlabelled images are small grey dots. The plane is that of the unlabelled parts of the last moment. Parts of two
    numbers that have norm 1 would hide each other on one circle: codewords are drawn outside of it, and unlabelled images
    inside, in their own directions.

    Args:
        moments: for each moment, snapshots of the labelled and of the unlabelled images.
        labels: (n,) class numbers of the labelled images.
        class_names: a name for each class.
        codebook: which part of the descriptors is shown, from 0 to M - 1.
    """
    plane = plane_of(moments[-1][1], codebook)
    inner, outer = RINGS if moments[0][0].codebooks.shape[2] == 2 else (1.0, 1.0)
    shown = {labelled.step: plane(labelled) for labelled, _ in moments}
    shown = {step: (points, outer * words) for step, (points, words) in shown.items()}
    behind = {unlabelled.step: inner * plane(unlabelled)[0] for _, unlabelled in moments}
    return small_multiples(shown, labels, class_names, equal=True, behind=behind)


def usage_of(snapshot: Snapshot) -> Tensor:
    """(M, K) shares of the fixed images."""
    return codeword_usage(snapshot.codes, snapshot.codebooks.shape[1])


def plane_of(latest: Snapshot, codebook: int, angles: bool = False):
    """A function from a snapshot to its parts (n, 2) and codewords (K, 2) in the plane that suits the latest.

    A plane of principal directions, fitted to the latest parts; parts of one or two numbers are shown as they are.
    With `angles`, lengths are taken away as `codebook_training` says.
    """
    books, _, dimension = latest.codebooks.shape

    def parts(snapshot: Snapshot) -> Tensor:
        whole = snapshot.descriptors.float()
        if angles:
            whole = books**0.5 * normalize(whole, dim=1)
        return whole.unflatten(1, (books, dimension))[:, codebook]  # (n, d)

    def codewords(snapshot: Snapshot, of_images: Tensor) -> Tensor:
        words = snapshot.codebooks[codebook].float()  # (K, d)
        return words * (of_images.norm(dim=1).mean() / words.norm(dim=1).mean()) if angles else words

    fitted = fit_map(parts(latest), "PCA") if dimension > 2 else None

    def plane(snapshot: Snapshot) -> tuple[Tensor, Tensor]:
        of_images = parts(snapshot)
        both = (of_images, codewords(snapshot, of_images))
        if fitted is None:
            return tuple(pad(values, (0, 2 - dimension)) for values in both)
        return tuple(torch.from_numpy(fitted.transform(values.numpy())) for values in both)

    return plane


def _perplexity_panel(axis, history: History) -> None:
    steps = [s.step for s in history.snapshots]
    by_book = torch.stack([perplexity(usage_of(s)) for s in history.snapshots])  # (T, M)
    words = history.snapshots[-1].codebooks.shape[1]
    axis.axhline(words, color=QUIET, linewidth=1.4, linestyle=":")
    axis.plot(steps, by_book.mean(1), label="mean", **line_style(0))
    axis.plot(steps, by_book.amin(1), label="least", **line_style(1))
    axis.set_ylim(0, 1.4 * words)  # the legend stands above all that can be reached
    set_titles(axis, "step", "", f"perplexity, at most {words}")
    axis.legend(loc="upper center", ncols=2, fontsize=SMALLEST)


def _check(history: History, labels: Tensor, codebook: int) -> None:
    check_history(history, labels)
    if any(s.codes is None or s.codebooks is None for s in history.snapshots):
        raise ValueError("The snapshots hold no codebooks; draw a run of binary codes with bit_training.")
    books = len(history.snapshots[-1].codebooks)
    if not 0 <= codebook < books:
        raise ValueError(f"codebook={codebook}: the run has {books} codebooks, from 0 to {books - 1}.")
