"""What is asked of every figure."""

from matplotlib.colors import to_rgb
from matplotlib.text import Text

PHONE = 343  # pixels: the width of a page's text on a phone


def relative_luminance(color) -> float:
    """As the Web Content Accessibility Guidelines 2.1 define it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second) -> float:
    """From 1 (the same) to 21 (black on white)."""
    darker, lighter = sorted((relative_luminance(first), relative_luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def texts(figure) -> list[str]:
    """All visible texts of a figure, after it was laid out."""
    return [text.get_text() for text in _visible_texts(figure)]


def smallest_text_on_a_phone(figure) -> float:
    """Height in pixels of the smallest text where the figure is shrunk to a phone's width (never enlarged)."""
    width = figure.get_figwidth() * figure.dpi
    points = min(text.get_fontsize() for text in _visible_texts(figure))
    return points * figure.dpi / 72 * min(1, PHONE / width)


def points_under_legends(figure) -> int:
    """How many drawn points lie under a legend or under a text that stands in a box of its own."""
    figure.draw_without_rendering()  # closed figures have a canvas that draws nothing
    boxes = [
        legend.get_window_extent() for legend in (*figure.legends, *(a.get_legend() for a in figure.axes)) if legend
    ]
    boxes += [text.get_bbox_patch().get_window_extent() for text in figure.findobj(Text) if text.get_bbox_patch()]
    points = [
        point
        for axis in figure.axes
        for line in axis.lines
        if line.get_transform() == axis.transData
        for point in axis.transData.transform(line.get_xydata())
    ]
    return sum(any(box.contains(*point) for box in boxes) for point in points)


def _visible_texts(figure) -> list[Text]:
    figure.draw_without_rendering()  # closed figures have a canvas that draws nothing
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
