"""The toy training, as fixtures."""

import pytest

from tests.training import toy


@pytest.fixture(scope="session")
def stripes():
    """Images of stripes."""
    return toy.striped_images()


@pytest.fixture(scope="session")
def split():
    """Which of them are learned from."""
    return toy.striped_split()


@pytest.fixture
def make_method():
    """A new small DHD, always with the same weights."""
    return toy.small_method


@pytest.fixture
def short():
    """Twelve steps with two evaluations on the way."""
    return toy.SHORT
