"""The story of a run: drawn from the numbers that a checkpoint keeps."""

import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts

from retrieval_lib.plots.story import story
from retrieval_lib.training import History


@pytest.fixture
def whole():
    history = History(torch.arange(3), score_steps=[0, 2, 4], scores=[0.1, 0.5, 0.7])
    history.add(2, {"identity": 3.0, "pairwise": 1.0}, 0.1, 1.0)
    history.add(4, {"identity": 2.0, "pairwise": 0.5}, 0.1, 2.0)
    return history


def test_losses_and_scores_are_drawn_from_numbers_alone(whole):
    figure = story(History(torch.empty(0), **whole.numbers()))
    losses, scores = figure.axes
    assert [list(line.get_ydata()) for line in losses.lines] == [[3.0, 2.0], [1.0, 0.5]]
    assert list(scores.lines[0].get_xdata()) == [0, 2, 4] and list(scores.lines[0].get_ydata()) == [0.1, 0.5, 0.7]
    assert {"identity", "pairwise", "validation mAP"} <= set(texts(figure))
    assert smallest_text_on_a_phone(figure) >= 8


def test_the_use_of_codewords_stands_below(whole):
    use = [{"step": 0, "perplexity": [3.0, 5.0], "unused": 7}, {"step": 4, "perplexity": [12.5, 9.5], "unused": 2}]
    figure = story(whole, use)
    effective, unused = figure.axes[2:]
    assert [list(line.get_ydata()) for line in effective.lines] == [[4.0, 11.0], [3.0, 9.5]]
    assert list(unused.lines[0].get_xdata()) == [0, 4] and list(unused.lines[0].get_ydata()) == [7, 2]
    assert {"mean", "least"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_a_run_without_scores_has_no_story():
    with pytest.raises(ValueError, match="0 scores"):
        story(History(torch.empty(0), terms={"identity": [1.0]}))
