"""The retrieval grid: right pictures at right places, right and wrong told apart without colour."""

import numpy as np
import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts
from matplotlib.colors import to_hex

from retrieval_lib.plots import retrieval_grid
from retrieval_lib.plots.grid import CROSS, TICK, to_pixels
from retrieval_lib.plots.style import RIGHT, WRONG


def pictures(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def example(request):
    channels = request.param
    relevant = torch.tensor([[True, False, True], [False, False, True]])
    return pictures(2, channels, 8, 6), pictures(2, 3, channels, 8, 6), relevant


def test_each_picture_stands_at_its_place(example):
    queries, found, relevant = example
    axes = retrieval_grid(queries, found, relevant).axes
    assert len(axes) == 2 * (3 + 1)
    for row in range(2):
        expected = [queries[row], *found[row]]
        for column, image in enumerate(expected):
            shown = axes[row * 4 + column].images[0]
            assert np.array_equal(shown.get_array(), to_pixels(image))
            assert shown.get_clim() == (0, 255) or image.shape[0] == 3  # never stretched to the picture's own range


def test_marks_and_frames_tell_right_from_wrong_without_colour(example):
    queries, found, relevant = example
    figure = retrieval_grid(queries, found, relevant, ["cat", "dog"])
    axes = np.array(figure.axes).reshape(2, 4)
    assert [axis.get_title() for axis in axes[:, 0]] == ["cat", "dog"]
    for axis, right in zip(axes[:, 1:].flat, relevant.flatten().tolist(), strict=True):
        spine = axis.spines["left"]
        assert axis.get_title() == (TICK if right else CROSS)
        assert (spine.get_linestyle() == "-") == right
        assert to_hex(spine.get_edgecolor()) == (RIGHT if right else WRONG).lower()
    assert any("same label" in text and "another label" in text for text in texts(figure)), "the marks are explained"


def test_inputs_stay_as_they_were(example):
    copies = [tensor.clone() for tensor in example]
    retrieval_grid(*example)
    assert all(torch.equal(a, b) for a, b in zip(example, copies, strict=True))


def test_legible_on_a_phone_with_ten_results():
    figure = retrieval_grid(
        pictures(3, 3, 32, 32), pictures(3, 10, 3, 32, 32), torch.zeros(3, 10).bool(), ["airplane"] * 3
    )
    assert smallest_text_on_a_phone(figure) >= 8


def test_floating_point_images_are_shown_in_their_own_range():
    assert np.array_equal(to_pixels(torch.tensor([[[0.0, 1.0]]])), [[0.0, 1.0]])
    with pytest.raises(ValueError, match="undo its normalisation"):
        to_pixels(torch.tensor([[[-2.1, 1.0]]]))


@pytest.mark.parametrize("shape", [(2, 8, 8), (8, 8), (1, 2, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(1, H, W\) or \(3, H, W\)"):
        to_pixels(pictures(*shape))


def test_what_does_not_belong_together_is_refused(example):
    queries, found, relevant = example
    with pytest.raises(ValueError, match="do not belong together"):
        retrieval_grid(queries[:1], found, relevant)
    with pytest.raises(ValueError, match="do not belong together"):
        retrieval_grid(queries, found, relevant[:, :2])
    with pytest.raises(ValueError, match="1 names for 2 queries"):
        retrieval_grid(queries, found, relevant, ["cat"])
