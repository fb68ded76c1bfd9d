"""A training made visible: losses, validation score, bits and embedding, while it runs and afterwards."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.plots.codes import bit_correlation
from retrieval_lib.plots.embedding import fit_map
from retrieval_lib.plots.panels import (
    check_history,
    class_legend,
    loss_panel,
    points_panel,
    score_panel,
    small_multiples,
    spread_moments,
)
from retrieval_lib.plots.style import SHADES, WIDTH, finish, line_style, set_titles
from retrieval_lib.training import History


def bit_training(
    history: History, labels: Tensor, class_names: Sequence[str], shown: Sequence[int] | None = None
) -> Figure:
    """Four panels of a run that learns binary codes, as far as it has come.

    Above: each term of the loss, and the validation score. Below: the share of ones of each bit at each snapshot, and
    the latest descriptors of the fixed images on their two principal directions.

    Args:
        history: of the run; its snapshots hold relaxed codes, whose signs are the bits.
        labels: (n,) class numbers of the run's fixed images.
        class_names: a name for each class.
        shown: the classes that the map of descriptors shows, where all would be too many to tell apart.

    Raises:
        ValueError: there is no snapshot yet, or the labels are not those of the fixed images.
    """
    check_history(history, labels)
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.6), layout="constrained")
    loss_panel(axes[0, 0], history)
    score_panel(axes[0, 1], history)
    share = torch.stack([(s.descriptors >= 0).float().mean(0) for s in history.snapshots])  # (T, bits)
    mesh = axes[1, 0].imshow(share.T.numpy(), cmap=SHADES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes[1, 0].grid(False)
    axes[1, 0].set_xticks(*_snapshot_ticks(history))
    set_titles(axes[1, 0], "step", "bit", "share of ones")
    figure.colorbar(mesh, ax=axes[1, 0])
    on_map = _of_classes(labels, shown)
    latest, labels = history.snapshots[-1].descriptors[on_map].float(), labels[on_map]
    plane = torch.from_numpy(fit_map(latest, "PCA").transform(latest.numpy()))
    points_panel(axes[1, 1], plane, labels)
    set_titles(axes[1, 1], title=f"embedding, step {history.snapshots[-1].step:,}")
    class_legend(figure, labels, class_names)
    return finish(figure)


def correlation_over_time(history: History) -> Figure:
    """How alike the bits are, on average over all pairs, and how far from one half their shares of ones, by step."""
    codes = [s.descriptors >= 0 for s in history.snapshots]
    off = ~torch.eye(codes[0].shape[1], dtype=torch.bool)
    steps = [s.step for s in history.snapshots]
    figure, axis = plt.subplots(layout="constrained", figsize=(WIDTH, 3.2))
    alike = [float(bit_correlation(c).abs()[off].mean()) for c in codes]
    uneven = [float((c.float().mean(0) - 0.5).abs().mean()) for c in codes]
    axis.plot(steps, alike, label="correlation of two bits, sign left out", **line_style(0))
    axis.plot(steps, uneven, label="distance of a bit's share of ones from one half", **line_style(1))
    axis.set_ylim(0, None)
    set_titles(axis, "step", "mean")
    axis.legend()
    return finish(figure)


def embedding_over_time(
    history: History,
    labels: Tensor,
    class_names: Sequence[str],
    columns: int = 4,
    shown: Sequence[int] | None = None,
) -> Figure:
    """Small multiples: the fixed images at several moments, in the plane of the last one's principal directions.

    One fit, one set of points and one pair of axes for all panels, so that what moves in the picture moved in the run.

    Args:
        history, labels, class_names, shown: as `bit_training`.
        columns: how many moments are shown, spread evenly; the first and the last are always among them.
    """
    on_map = _of_classes(labels, shown)
    plane = fit_map(history.snapshots[-1].descriptors[on_map].float(), "PCA")
    moments = {
        s.step: (torch.from_numpy(plane.transform(s.descriptors[on_map].float().numpy())), None)
        for s in spread_moments(history, columns)
    }
    return small_multiples(moments, labels[on_map], class_names)


def _of_classes(labels: Tensor, shown: Sequence[int] | None) -> Tensor:
    """(n,) bool: which images are of these classes; all, where none are named."""
    return torch.ones_like(labels, dtype=torch.bool) if shown is None else torch.isin(labels, torch.tensor(shown))


def _snapshot_ticks(history: History) -> tuple[list[int], list[str]]:
    shown = sorted({0, len(history.snapshots) // 2, len(history.snapshots) - 1})
    return shown, [f"{history.snapshots[i].step:,}" for i in shown]
