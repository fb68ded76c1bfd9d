"""The figures of a training of product codes show its numbers, at any moment of it."""

import numpy as np
import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts

from retrieval_lib.plots.codebook_training import (
    codebook_training,
    codewords_over_time,
    labelled_and_unlabelled,
    usage_over_time,
)
from retrieval_lib.quantization import ProductQuantizer, codeword_usage, dead_codewords, perplexity
from retrieval_lib.training import History, Snapshot

LABELS = torch.arange(60) % 3
NAMES = ["cat", "dog", "ship"]


def history_of(dimension, books=2, words=16):
    """Six snapshots; as in a real run, codes are the nearest codewords. A term is negative, as GPQ's entropy is."""
    generator = torch.Generator().manual_seed(0)
    made = History(torch.arange(60))
    for step in (0, 10, 20, 30, 40, 50):
        if step:
            made.add(step, {"N-pair": 1 / step, "negative entropy": -0.1}, 0.1, step / 2)
        made.score_steps.append(step)
        made.scores.append(step / 100)
        x = torch.randn(60, books * dimension, generator=generator) + step / 20 * LABELS[:, None]
        codebooks = torch.randn(books, words, dimension, generator=generator)
        codes = ProductQuantizer(codebooks).encode(x).int()
        made.snapshots.append(Snapshot(step, x.half(), codes, codebooks.half()))
    return made


@pytest.mark.parametrize("dimension", [1, 2, 3, 8])
def test_five_panels_of_a_run(dimension):
    history = history_of(dimension)
    figure = codebook_training(history, LABELS, NAMES, codebook=1)
    losses, score, usage, effective, below = figure.axes[:5]
    assert losses.lines[1].get_ydata() == pytest.approx([-0.1] * 5) and losses.get_ylim()[0] < -0.1
    assert list(score.lines[0].get_ydata()) == history.scores
    expected = codeword_usage(history.snapshots[-1].codes, 16)
    shown = usage.images[0].get_array()
    assert np.allclose(shown, 16 * expected.sort(dim=1, descending=True).values)
    assert len(usage.lines) == int(dead_codewords(expected).sum()) > 0, "a cross for each dead codeword"
    by_book = torch.stack([perplexity(codeword_usage(s.codes, 16)) for s in history.snapshots])
    _, mean, least = effective.lines
    assert mean.get_ydata() == pytest.approx(by_book.mean(1).tolist())
    assert least.get_ydata() == pytest.approx(by_book.min(1).values.tolist()) and list(least.get_xdata())[-1] == 50
    assert sum(len(c.get_offsets()) for c in below.collections) == 60 + 16
    assert {"cat", "dog", "ship", "1", "2"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_two_numbers_are_shown_as_they_are():
    history = history_of(2)
    below = codebook_training(history, LABELS, NAMES, codebook=1).axes[4]
    words = below.collections[-1].get_offsets()
    assert np.allclose(words, history.snapshots[-1].codebooks[1].float())
    assert np.allclose(below.collections[0].get_offsets(), history.snapshots[-1].descriptors.float()[LABELS == 0, 2:])


def test_points_and_codewords_share_the_plane_of_the_shown_part():
    """Codewords that are parts of images lie exactly on these images' points."""
    history = history_of(5)
    last = history.snapshots[-1]
    history.snapshots[-1] = Snapshot(50, last.descriptors, last.codes, torch.stack([last.descriptors[:48:3, :5]] * 2))
    below = codebook_training(history, LABELS, NAMES).axes[4]
    points, words = below.collections[0].get_offsets(), below.collections[-1].get_offsets()
    assert np.allclose(words, points[:16], atol=1e-5)


def test_the_first_moment_can_be_drawn():
    history = history_of(4)
    first = History(torch.arange(60), score_steps=[0], scores=[0.1], snapshots=history.snapshots[:1])
    assert codebook_training(first, LABELS, NAMES).axes


def test_small_multiples_share_their_axes_and_show_first_and_last():
    figure = codewords_over_time(history_of(3), LABELS, NAMES)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["step 0", "step 20", "step 30", "step 50"]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert all(sum(len(c.get_offsets()) for c in axis.collections) == 76 for axis in figure.axes)


def test_the_use_of_codewords_at_several_moments():
    history = history_of(3)
    figure = usage_over_time(history)
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in panels] == ["step 0", "step 20", "step 30", "step 50"]
    order = codeword_usage(history.snapshots[5].codes, 16).argsort(dim=1, descending=True, stable=True)
    last = panels[-1].images[0].get_array()
    assert (np.diff(last, axis=1) <= 0).all(), "sorted by their use at the last moment"
    for axis, snapshot in zip(panels, (history.snapshots[i] for i in (0, 2, 3, 5)), strict=True):
        expected = codeword_usage(snapshot.codes, 16)
        assert np.allclose(axis.images[0].get_array(), 16 * expected.gather(1, order)), "a codeword keeps its place"
        crosses = {(int(line.get_ydata()[0]), int(line.get_xdata()[0])) for line in axis.lines}
        assert crosses == set(map(tuple, (expected.gather(1, order) == 0).nonzero().tolist()))
        assert len(axis.lines) == int(dead_codewords(expected).sum())
    assert smallest_text_on_a_phone(figure) >= 8


@pytest.mark.parametrize("dimension", [2, 4])
def test_labelled_unlabelled_and_codewords_share_one_plane(dimension):
    """An unlabelled image that has a labelled one's descriptor lies on its point."""
    snapshots = history_of(dimension).snapshots
    figure = labelled_and_unlabelled([(s, s) for s in snapshots[:3]], LABELS, NAMES, codebook=1)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["step 0", "step 10", "step 20"]
    for axis in figure.axes:
        grey, first_class, *_, words = (c.get_offsets() for c in axis.collections)
        assert len(grey) == 60 and len(words) == 16
        inside = 0.8 if dimension == 2 else 1.0  # on a circle they would hide each other
        assert np.allclose(grey[(LABELS == 0).numpy()], inside * first_class, atol=1e-5)
    assert len({axis.get_xlim() for axis in figure.axes}) == 1 and "cat" in texts(figure)


@pytest.mark.parametrize("draw", [codebook_training, codewords_over_time])
def test_what_cannot_be_drawn_is_named(draw):
    history = history_of(3)
    with pytest.raises(ValueError, match="6 snapshots, and 59 labels"):
        draw(history, LABELS[:-1], NAMES)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match=f"codebook={wrong}: the run has 2 codebooks, from 0 to 1"):
            draw(history, LABELS, NAMES, codebook=wrong)
    binary = History(torch.arange(60), snapshots=[Snapshot(0, torch.randn(60, 8).half())])
    with pytest.raises(ValueError, match="hold no codebooks; draw a run of binary codes with bit_training"):
        draw(binary, LABELS, NAMES)


def test_classes_are_named_below_and_not_among_the_points(caplog):
    history = history_of(8)
    below = codebook_training(history, LABELS, NAMES).axes[4]
    together = codewords_over_time(history, LABELS, NAMES, columns=2)
    for axis, figure in ((below, below.figure), (together.axes[1], together)):
        assert {text.get_text() for text in figure.legends[0].get_texts()} == set(NAMES)
        assert not set(NAMES) & {text.get_text() for text in axis.texts}, "no name hides a point"
        assert smallest_text_on_a_phone(figure) >= 8
    assert not caplog.records, "a page shows no warning of matplotlib"


@pytest.mark.parametrize("dimension", [2, 8])
def test_where_only_angles_count_no_length_is_shown(dimension):
    """Longer descriptors and shorter codebooks make the same picture, and codewords are as long as parts in mean."""
    history, other = history_of(dimension), history_of(dimension)
    last = other.snapshots[-1]
    longer = last.descriptors * torch.linspace(1, 8, 60)[:, None]
    other.snapshots[-1] = Snapshot(50, longer, last.codes, last.codebooks / 64)
    shown = [codebook_training(h, LABELS, NAMES, angles=True).axes[4].collections for h in (history, other)]
    for one, two in zip(*shown, strict=True):
        assert np.allclose(one.get_offsets(), two.get_offsets(), atol=2e-2)
    several = codewords_over_time(history, LABELS, NAMES, angles=True).axes[-1].collections
    assert np.allclose(np.abs(several[-1].get_offsets()), np.abs(shown[0][-1].get_offsets()), atol=1e-3)
    if dimension == 2:
        *points, words = (np.linalg.norm(c.get_offsets(), axis=1) for c in shown[0])
        assert words.mean() == pytest.approx(np.concatenate(points).mean(), rel=1e-3)
