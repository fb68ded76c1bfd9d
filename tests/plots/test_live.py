"""The live figure carries a picture and the numbers of the history, in one output."""

import torch
from matplotlib import pyplot as plt

from retrieval_lib.plots.live import LiveFigure
from retrieval_lib.training import History
from retrieval_lib.training.history import MIME


def test_one_output_with_the_picture_and_the_numbers():
    history = History(torch.arange(3), weights_before="a", weights_after="b")
    history.add(5, {"loss": 0.5}, 0.1, 2.0)
    bundle = LiveFigure(plt.subplots()[0], history)._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle[MIME]["steps"] == 5 and bundle[MIME]["losses"] == [0.5]
    assert (bundle[MIME]["weights_before"], bundle[MIME]["weights_after"]) == ("a", "b")
    assert bundle["text/plain"] == "5 steps in 2 s"
