"""The book's figures: one style, a function a figure, each returning a matplotlib Figure."""

from retrieval_lib.plots.codes import bit_balance, bit_correlation, bit_statistics, code_strips
from retrieval_lib.plots.codewords import usage_map
from retrieval_lib.plots.distances import distance_histograms
from retrieval_lib.plots.embedding import embedding_map, fit_map
from retrieval_lib.plots.grid import retrieval_grid
from retrieval_lib.plots.lines import by_bits, by_number, precision_recall, trade_off
from retrieval_lib.plots.style import finish, line_style, use_style

__all__ = [
    "bit_balance",
    "bit_correlation",
    "bit_statistics",
    "by_bits",
    "by_number",
    "code_strips",
    "distance_histograms",
    "embedding_map",
    "finish",
    "fit_map",
    "line_style",
    "precision_recall",
    "retrieval_grid",
    "trade_off",
    "usage_map",
    "use_style",
]
