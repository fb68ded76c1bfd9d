"""The matrices of a contrast: their cosines, their positives, and what is left out."""

import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts
from matplotlib.patches import Rectangle

from retrieval_lib.plots.contrast import contrast_games, contrast_matrices

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


def test_both_games_stand_in_one_matrix_and_what_neither_compares_is_hatched():
    games = [(FIRST, -2 * FIRST), (3 * FIRST, FIRST)]
    names = [("x of a", "z of b"), ("x of b", "z of a")]
    figure = contrast_games(games, [(PICTURES, PICTURES)] * 2, names)
    axis, block = figure.axes[0], 2 * COUNT
    first, second = (image for image in axis.images if image.get_array().ndim == 2)
    assert first.get_extent() == [0, block, block, 0] and second.get_extent() == [block, 2 * block, 2 * block, block]
    for image, sign in ((first, -1), (second, 1)):
        cosines = torch.as_tensor(image.get_array().filled(torch.nan))
        assert torch.equal(cosines[:COUNT, COUNT:], sign * torch.eye(COUNT)) and cosines.diagonal().isnan().all()
    hatched = {patch.get_xy() for patch in axis.patches if patch.get_hatch()}
    assert hatched == {(0, block), (block, 0)}
    frames = {(int(p.get_y()), int(p.get_x())) for p in axis.patches if not p.get_hatch()}
    partner = lambda i: i - i % block + (i + COUNT) % block  # noqa: E731
    assert frames == {(i, partner(i)) for i in range(2 * block)}
    assert {"x of a", "z of b", "x of b", "z of a"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_every_set_of_every_game_has_as_many_vectors_and_pictures():
    with pytest.raises(ValueError, match="as many vectors as the others"):
        contrast_games([(FIRST, FIRST[:2])], [(PICTURES, PICTURES)], [("x", "z")])
    with pytest.raises(ValueError, match="a picture for each"):
        contrast_games([(FIRST, FIRST)], [(PICTURES, PICTURES[:2])], [("x", "z")])
