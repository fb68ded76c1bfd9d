"""A figure of a training, shown together with the numbers of its history."""

from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure

from retrieval_lib.training import History
from retrieval_lib.training.history import MIME


class LiveFigure:
    """What a live run shows: one output that is the figure, and from which a check reads that the run really trained.

    Args:
        figure: of the history so far.
        history: of the run.
    """

    def __init__(self, figure: Figure, history: History):
        self.figure, self.history = figure, history

    def _repr_mimebundle_(self, **_) -> dict:
        told = self.history._repr_mimebundle_()
        return {"image/png": print_figure(self.figure), "text/plain": told["text/plain"], MIME: told[MIME]}
