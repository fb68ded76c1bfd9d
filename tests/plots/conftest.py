"""Every figure of the tests is drawn in the book's style."""

import pytest

from retrieval_lib.plots.style import use_style


@pytest.fixture(autouse=True)
def book_style():
    """Set it anew: a test may have changed it."""
    use_style()
