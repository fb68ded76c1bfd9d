"""The figures of a training show its numbers, at any moment of it."""

import numpy as np
import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts
from matplotlib.backends.backend_agg import FigureCanvasAgg

from retrieval_lib.plots.panels import class_styles
from retrieval_lib.plots.training import bit_training, correlation_over_time, embedding_over_time
from retrieval_lib.training import History, Snapshot

LABELS = torch.arange(30) % 3


@pytest.fixture
def history():
    generator = torch.Generator().manual_seed(0)
    made = History(torch.arange(30))
    for step in (0, 10, 20, 30, 40, 50):
        if step:
            made.add(step, {"proxy": 1 / step, "quantization": 0.1}, 0.1, step / 2)
        made.score_steps.append(step)
        made.scores.append(step / 100)
        descriptors = torch.randn(30, 8, generator=generator) + step / 10 * torch.eye(3, 8)[LABELS]
        made.snapshots.append(Snapshot(step, descriptors.half()))
    return made


def test_four_panels(history):
    figure = bit_training(history, LABELS, ["cat", "dog", "ship"])
    losses, score, share = figure.axes[:3]
    assert losses.lines[0].get_ydata() == pytest.approx([1 / s for s in (10, 20, 30, 40, 50)])
    assert list(score.lines[0].get_ydata()) == history.scores
    expected = torch.stack([(s.descriptors >= 0).float().mean(0) for s in history.snapshots]).T
    assert np.allclose(share.images[0].get_array(), expected)
    assert {"cat", "dog", "ship", "0", "50"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_a_small_term_beside_a_large_one_is_drawn_on_a_logarithmic_axis(history):
    names = ["cat", "dog", "ship"]
    assert bit_training(history, LABELS, names).axes[0].get_yscale() == "linear", "0.1 and 0.02 lie near each other"
    history.terms["quantization"] = [0.001] * 5
    figure = bit_training(history, LABELS, names)
    assert figure.axes[0].get_yscale() == "log" and smallest_text_on_a_phone(figure) >= 8
    history.terms["quantization"] = [-0.001] * 5
    losses = bit_training(history, LABELS, names).axes[0]
    assert losses.get_yscale() == "linear" and losses.get_ylim()[0] < -0.001


@pytest.mark.parametrize(("lowest", "from_zero"), [(9.2, False), (4.0, True)])
def test_a_loss_that_falls_little_fills_its_panel_and_no_value_is_cut_off(history, lowest, from_zero):
    history.terms = {"contrast": np.linspace(10.3, lowest, 5).tolist()}
    bottom, top = bit_training(history, LABELS, ["cat", "dog", "ship"]).axes[0].get_ylim()
    assert (bottom == 0) == from_zero and bottom < lowest and top > 10.3


def test_the_legend_of_the_losses_lies_below_their_panel(history):
    figure = bit_training(history, LABELS, ["cat", "dog", "ship"])
    FigureCanvasAgg(figure).draw()  # places everything
    losses, below = figure.axes[0], figure.axes[2]
    legend = losses.get_legend().get_window_extent()
    assert not legend.overlaps(losses.get_window_extent()), "it would hide lines"
    assert not legend.overlaps(losses.xaxis.label.get_window_extent())
    assert legend.y0 > below.get_window_extent().y1


def test_few_of_many_classes_get_styles_of_their_own():
    styles = class_styles(torch.tensor([61, 5, 61, 40, 12, 47, 33, 54]))
    assert list(styles) == [5, 12, 33, 40, 47, 54, 61]
    assert len({style["color"] for style in styles.values()}) == 7


def test_the_first_moment_can_be_drawn():
    history = History(torch.arange(30), score_steps=[0], scores=[0.1])
    history.snapshots.append(Snapshot(0, torch.randn(30, 8).half()))
    assert bit_training(history, LABELS, ["cat", "dog", "ship"]).axes
    history.snapshots.clear()
    with pytest.raises(ValueError, match="0 snapshots"):
        bit_training(history, LABELS, ["cat", "dog", "ship"])


def test_small_multiples_share_their_axes_and_show_first_and_last(history):
    figure = embedding_over_time(history, LABELS, ["cat", "dog", "ship"])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["step 0", "step 20", "step 30", "step 50"]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert all(sum(len(c.get_offsets()) for c in axis.collections) == 30 for axis in figure.axes)


def test_a_map_can_show_some_classes_only(history):
    few = bit_training(history, LABELS, ["cat", "dog", "ship"], shown=[0, 2])
    assert sum(len(c.get_offsets()) for c in few.axes[3].collections) == 20
    assert {"cat", "ship"} <= set(texts(few)) and "dog" not in texts(few)
    assert few.axes[2].images[0].get_array().shape == (8, 6)  # the bits of all images, still
    moments = embedding_over_time(history, LABELS, ["cat", "dog", "ship"], shown=[1])
    assert all(sum(len(c.get_offsets()) for c in axis.collections) == 10 for axis in moments.axes)


def test_correlation_of_equal_bits_is_one():
    history = History(torch.arange(30))
    bit = torch.randn(30, 1)
    for step, values in ((0, torch.randn(30, 6)), (9, bit.expand(30, 6))):
        history.snapshots.append(Snapshot(step, values.half()))
    alike, uneven = correlation_over_time(history).axes[0].lines
    assert list(alike.get_xdata()) == [0, 9] and alike.get_ydata()[0] < 0.5 and alike.get_ydata()[1] == pytest.approx(1)
    assert uneven.get_ydata()[1] == pytest.approx(float(((bit >= 0).float().mean() - 0.5).abs()))
