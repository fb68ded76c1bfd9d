"""The book's figures: one style, a function a figure, each returning a matplotlib Figure."""

from retrieval_lib.plots.grid import retrieval_grid
from retrieval_lib.plots.style import line_style, use_style

__all__ = ["line_style", "retrieval_grid", "use_style"]
