"""The style: told apart without colour, seen on its ground, the same on every machine."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from figure_checks import contrast
from matplotlib import font_manager
from matplotlib.colors import to_rgb

from retrieval_lib.plots.style import BLACK, GROUND, PALETTE, QUIET, RIGHT, WRONG, line_style, marker_style

# Machado, Oliveira and Fernandes (2009): what people without one kind of cones see, on linear RGB.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# sRGB's linear light to CIE XYZ, for distances that mean something to the eye
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)


def lab(color, blindness=None) -> np.ndarray:
    """CIE L*a*b* of a colour, as somebody sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if blindness:
        linear = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0, 1)
    x, y, z = np.cbrt(TO_XYZ @ linear / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest_pair(colors, blindness=None) -> float:
    """The smallest distance (CIE 1976) between two of these colours."""
    return min(np.linalg.norm(lab(a, blindness) - lab(b, blindness)) for a, b in itertools.combinations(colors, 2))


@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
def test_palette_is_told_apart_whatever_the_eye(blindness):
    assert nearest_pair(PALETTE, blindness) > 12  # 2 is a difference just seen, side by side


@pytest.mark.parametrize("blindness", ["protanopia", "deuteranopia"])
def test_that_check_refuses_matplotlibs_own_colours(blindness):
    assert nearest_pair(mpl.color_sequences["tab10"][:7], blindness) < 12


def test_text_and_leading_colours_stand_out_from_the_ground():
    assert contrast(BLACK, GROUND) >= 7 and contrast(QUIET, GROUND) >= 4.5
    for color in (*PALETTE[:4], RIGHT, WRONG):
        assert contrast(color, GROUND) >= 3
    for number in range(len(PALETTE)):
        assert contrast(marker_style(number)["markeredgecolor"], GROUND) >= 3


def test_lines_differ_in_marker_and_dashes_as_well_as_in_colour():
    for key in ("color", "marker", "linestyle"):
        assert len({line_style(n)[key] for n in range(7)}) == 7
    assert len({(marker_style(n)["color"], marker_style(n)["marker"]) for n in range(70)}) == 70


def test_ground_is_opaque_and_light():
    for key in ("figure.facecolor", "savefig.facecolor", "axes.facecolor"):
        assert mpl.colors.to_rgba(mpl.rcParams[key]) == (1, 1, 1, 1)
    assert not mpl.rcParams["savefig.transparent"]


def test_font_is_the_one_that_comes_with_matplotlib():
    path = font_manager.findfont(font_manager.FontProperties(family=mpl.rcParams["font.family"]))
    assert path.startswith(mpl.get_data_path())
