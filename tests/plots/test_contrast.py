"""The matrices of a contrast: their cosines, their positives, and what is left out."""

import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts
from matplotlib.patches import Rectangle

from retrieval_lib.plots.contrast import contrast_matrices

COUNT = 3
FIRST = torch.eye(COUNT, 4)
PICTURES = torch.zeros(COUNT, 3, 8, 8, dtype=torch.uint8)


def drawn(second=FIRST, pictures=PICTURES):
    one, two = (FIRST, second), (second, FIRST)
    return contrast_matrices(
        {"one": one, "two": two}, {"one": (PICTURES, pictures), "two": (pictures, PICTURES)},
        {"one": ("x of view a", "z of view b"), "two": ("z of view b", "x of view a")},
    )  # fmt: skip


def test_cosines_of_all_rows_but_a_row_with_itself():
    axis = drawn(-2 * FIRST).axes[0]
    cosines = torch.as_tensor(axis.images[0].get_array().filled(torch.nan))
    assert cosines.shape == (2 * COUNT, 2 * COUNT)
    assert cosines.diagonal().isnan().all()
    assert torch.equal(cosines[:COUNT, COUNT:], -torch.eye(COUNT)), "length does not matter, direction does"


def test_each_row_has_its_partner_framed():
    frames = [patch for patch in drawn().axes[0].patches if isinstance(patch, Rectangle)]
    cells = {(int(frame.get_y()), int(frame.get_x())) for frame in frames}
    assert cells == {(i, (i + COUNT) % (2 * COUNT)) for i in range(2 * COUNT)}


def test_every_vector_has_its_picture_on_both_sides_and_the_names_are_read_on_a_phone():
    figure = drawn()
    assert all(len(axis.images) == 1 + 2 * 2 * COUNT for axis in figure.axes[:2])
    assert {"one", "two", "x of view a", "z of view b", "cosine"} <= set(texts(figure))
    assert smallest_text_on_a_phone(figure) >= 8


def test_pictures_must_belong_to_the_vectors():
    with pytest.raises(ValueError, match="do not belong together"):
        drawn(pictures=PICTURES[:2])
