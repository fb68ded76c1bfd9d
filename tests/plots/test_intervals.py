"""Rows of intervals: the drawn points and lines are the given ones, in the given order from above."""

import pandas as pd
import pytest
from figure_checks import smallest_text_on_a_phone, texts

from retrieval_lib.plots.intervals import interval_rows

TABLE = pd.DataFrame(
    {"variant": ["first", "second"], "mean": [0.1, -0.2], "low": [0.0, -0.3], "high": [0.2, -0.1], "seeds": 5}
)


def test_points_and_intervals_are_drawn_from_above():
    figure = interval_rows({"seen": TABLE, "never seen": TABLE * 1}, "variant", "difference in mAP")
    assert {"first", "second", "seen", "never seen", "difference in mAP"} <= set(texts(figure))
    for axis in figure.axes:
        (zero, points) = axis.lines
        assert list(zero.get_xdata()) == [0, 0]
        assert list(points.get_xdata()) == [0.1, -0.2] and list(points.get_ydata()) == [1, 0]
        ends = [segment[:, 0].tolist() for segment in axis.collections[0].get_segments()]
        assert ends == [[0.0, 0.2], [-0.3, -0.1]]
    assert smallest_text_on_a_phone(figure) >= 8


def test_a_long_name_is_broken_into_lines():
    name = "without self-distillation, labels on both views"
    figure = interval_rows({"seen": TABLE.assign(variant=["first", name])}, "variant", "difference")
    (told,) = [text for text in texts(figure) if text.startswith("without")]
    assert told.split() == name.split() and max(len(line) for line in told.splitlines()) < 30


def test_panels_with_other_rows_are_refused():
    with pytest.raises(ValueError, match="the same rows"):
        interval_rows({"seen": TABLE, "never seen": TABLE.head(1)}, "variant", "difference")
    with pytest.raises(ValueError, match="at least one"):
        interval_rows({}, "variant", "difference")
