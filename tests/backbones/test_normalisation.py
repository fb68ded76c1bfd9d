"""Channel statistics and the module that applies them."""

import pytest
import torch

from retrieval_lib.backbones import STATISTICS, channel_statistics
from retrieval_lib.backbones.normalisation import Normalise
from retrieval_lib.data.embedded import mnist, orl


def test_statistics_are_those_of_the_float_pixels():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 200, (7, 3, 5, 6), dtype=torch.uint8, generator=generator)
    images[:, 1] //= 3
    mean, deviation = channel_statistics(images)
    pixels = images.double() / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert deviation == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())


def test_normalised_data_has_mean_0_and_deviation_1():
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalised = Normalise(3, channel_statistics(images))(images.float() / 255)
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("embedded", [mnist, orl])
def test_stated_statistics_fit_the_embedded_images(embedded):
    images = embedded()
    (mean,), (deviation,) = channel_statistics(images.images)
    assert STATISTICS[images.name][0][0] == pytest.approx(mean, abs=0.002)  # the stated ones are of all 60,000 digits
    assert STATISTICS[images.name][1][0] == pytest.approx(deviation, abs=0.002)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 4, 4), torch.zeros(0, 3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)],
)
def test_statistics_of_anything_but_uint8_images_are_refused(images):
    with pytest.raises(ValueError, match="expected uint8 pixels"):
        channel_statistics(images)


def test_a_constant_channel_is_refused():
    with pytest.raises(ValueError, match="same value in every pixel"):
        channel_statistics(torch.full((2, 1, 4, 4), 9, dtype=torch.uint8))


@pytest.mark.parametrize("statistics", [((0.5,), (0.5,)), ((0.5,) * 3, (0.5,) * 2), ((0.5,) * 3, (0.5, 0.0, 0.5))])
def test_statistics_that_do_not_fit_are_refused(statistics):
    with pytest.raises(ValueError, match="deviations"):
        Normalise(3, statistics)
