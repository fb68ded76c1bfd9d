"""Diagrams: every text is drawn inside the figure, arrows know their boxes, stopped ones are dashed."""

import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts
from matplotlib.patches import FancyArrowPatch

from retrieval_lib.plots.diagram import Arrow, Box, diagram

BOXES = {
    "image": Box(0.8, 1.5, "image", picture=torch.zeros(3, 8, 8, dtype=torch.uint8), width=0.8, height=0.8),
    "network": Box(3, 1.5, "network", "learned"),
    "loss": Box(5.5, 1.5, "loss", "loss"),
}


def arrows_of(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def test_all_texts_are_drawn_and_lie_inside_the_figure():
    figure = diagram(BOXES, [Arrow("image", "network"), Arrow("network", "loss", "code")], height=3)
    assert set(texts(figure)) == {"image", "network", "loss", "code"}
    assert smallest_text_on_a_phone(figure) >= 8
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        assert extent.x0 >= 0 and extent.y0 >= 0
        assert extent.x1 <= figure.bbox.width and extent.y1 <= figure.bbox.height


def test_arrows_run_from_frame_to_frame_and_stopped_ones_are_dashed():
    plain, stopped = arrows_of(
        diagram(BOXES, [Arrow("image", "network"), Arrow("loss", "network", stopped=True)], height=3)
    )
    assert plain.get_linestyle() != stopped.get_linestyle()
    drawn = plain.get_path().vertices[:-1, 0]  # the last vertex only closes the path
    assert drawn[0] >= 0.8 + 0.4 and drawn.max() <= 3 - 1.3 / 2 + 1e-6  # the picture's right, the network's left edge


@pytest.mark.parametrize(
    ("boxes", "arrows", "told"),
    [(BOXES, [Arrow("image", "nowhere")], "nowhere"), ({"a": Box(1, 1, "a", "wish")}, [], "wish")],
)
def test_wrong_names_are_told(boxes, arrows, told):
    with pytest.raises(ValueError, match=told):
        diagram(boxes, arrows, height=3)
