"""Diagrams of the methods: boxes, pictures and arrows, in the style of the book's figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from retrieval_lib.plots.grid import to_pixels
from retrieval_lib.plots.style import BLACK, BLUE, GROUND, QUIET, SMALLEST, VERMILION, WIDTH, finish

FILLS = {"step": "#e8f1f8", "learned": "#fdf0e2", "loss": GROUND}
EDGES = {"step": BLUE, "learned": "#8a5a00", "loss": VERMILION}
DASHES = {"step": "-", "learned": "-", "loss": (0, (4, 2))}


@dataclass(frozen=True)
class Box:
    """A box of a diagram.

    Attributes:
        x, y: its middle, in inches from the lower left corner of the figure.
        text: inside it; under it where there is a picture.
        kind: `step`, `learned` (has parameters) or `loss`; each has a frame of its own.
        picture: (C, H, W) uint8, or floating-point in [0, 1]; drawn in place of a frame.
        width, height: in inches.
    """

    x: float
    y: float
    text: str
    kind: str = "step"
    picture: Tensor | None = None
    width: float = 1.3
    height: float = 0.55


@dataclass(frozen=True)
class Arrow:
    """An arrow from one box to another.

    Attributes:
        start, end: the names of the boxes.
        text: beside its middle.
        stopped: no gradient flows along it; drawn dashed.
        bend: how far it curves, 0 for a straight line.
    """

    start: str
    end: str
    text: str = ""
    stopped: bool = False
    bend: float = 0.0


def diagram(boxes: dict[str, Box], arrows: Sequence[Arrow], height: float) -> Figure:
    """Boxes and the arrows between them, on a figure of the book's width.

    Args:
        boxes: by name.
        arrows: between them.
        height: of the figure, in inches.

    Raises:
        ValueError: an arrow names a box that there is not, or a box is of no known kind.
    """
    for arrow in arrows:
        if missing := {arrow.start, arrow.end} - set(boxes):
            raise ValueError(f"An arrow names {', '.join(sorted(missing))}; the boxes are {', '.join(boxes)}.")
    if wrong := {box.kind for box in boxes.values()} - set(FILLS):
        raise ValueError(f"A box is of the kind {', '.join(sorted(wrong))}; there are {', '.join(FILLS)}.")
    figure = plt.figure(figsize=(WIDTH, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(0, height))
    axis.axis("off")
    frames = {name: _draw(axis, box) for name, box in boxes.items()}
    for arrow in arrows:
        style = {"linestyle": (0, (3, 2)), "color": QUIET} if arrow.stopped else {"color": BLACK}
        axis.add_patch(
            FancyArrowPatch(
                (boxes[arrow.start].x, boxes[arrow.start].y), (boxes[arrow.end].x, boxes[arrow.end].y),
                patchA=frames[arrow.start], patchB=frames[arrow.end], shrinkA=2, shrinkB=2, arrowstyle="-|>",
                mutation_scale=14, linewidth=1.5, connectionstyle=f"arc3,rad={arrow.bend}", **style,
            )
        )  # fmt: skip
        if arrow.text:
            a, b = boxes[arrow.start], boxes[arrow.end]
            x = (a.x + b.x) / 2 + arrow.bend * (b.y - a.y) / 2
            y = (a.y + b.y) / 2 - arrow.bend * (b.x - a.x) / 2
            axis.text(
                x, y, arrow.text, ha="center", va="center", fontsize=SMALLEST, color=BLACK,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": GROUND, "edgecolor": "none"},
            )  # fmt: skip
    return finish(figure)


def _draw(axis, box: Box) -> FancyBboxPatch:
    """Draw a box; returns the frame at which its arrows end."""
    low = (box.x - box.width / 2, box.y - box.height / 2)
    shown = box.picture is None
    frame = FancyBboxPatch(
        low, box.width, box.height, boxstyle="round,pad=0,rounding_size=0.08", facecolor=FILLS[box.kind],
        edgecolor=EDGES[box.kind], linestyle=DASHES[box.kind], linewidth=1.5, alpha=1.0 if shown else 0.0,
    )  # fmt: skip
    axis.add_patch(frame)
    if shown:
        axis.text(box.x, box.y, box.text, ha="center", va="center", fontsize=SMALLEST, color=BLACK)
        return frame
    pixels = to_pixels(box.picture)
    zoom = 72 * min(box.width, box.height) / max(pixels.shape[:2])
    brightest = 1 if box.picture.is_floating_point() else 255
    image = OffsetImage(pixels, zoom=zoom, cmap="gray", clim=(0, brightest), interpolation="nearest")
    axis.add_artist(AnnotationBbox(image, (box.x, box.y), pad=0.05, bboxprops={"edgecolor": QUIET}))
    axis.text(box.x, low[1] - 0.08, box.text, ha="center", va="top", fontsize=SMALLEST, color=BLACK)
    return frame
