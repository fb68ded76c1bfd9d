"""Views are drawn per image, repeat under a seed, and do to an image only what its settings say."""

import pytest
import torch

from retrieval_lib.augmentation import DHD_STRONG, FACES, SIMCLR, RandomView, ViewSettings, settings_for


@pytest.fixture
def images():
    return torch.randint(0, 256, (400, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["crop", "flip", "jitter", "grey", "blur", "occlusion"])
@pytest.mark.parametrize("probability", [0.25, 0.5])
def test_each_change_is_decided_per_image(images, name, probability):
    view = RandomView(ViewSettings(**{name: probability}), (32, 32))(images, seed=3)
    changed = ((view - images / 255).abs().flatten(1).amax(1) > 1e-4).float().mean()
    deviation = (probability * (1 - probability) / len(images)) ** 0.5
    assert abs(float(changed) - probability) < 5 * deviation


@pytest.mark.parametrize("name", ["crop", "jitter", "blur"])
def test_parameters_differ_between_images_of_one_batch(images, name):
    same = images[:1].expand(16, -1, -1, -1)
    view = RandomView(ViewSettings(**{name: 1.0}), (32, 32))(same, seed=0)
    assert len({tuple(v.flatten()[:200].tolist()) for v in view}) == 16


def test_same_seed_same_view_and_the_global_state_is_left_alone(images):
    view = RandomView(SIMCLR, (32, 32))
    state = torch.get_rng_state()
    first = view(images[:32], seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert torch.equal(first, view(images[:32], seed=7))
    assert not torch.equal(first, view(images[:32], seed=8))


def test_range_dtype_and_untouched_input(images):
    before = images.clone()
    view = RandomView(DHD_STRONG, (32, 32))(images[:64], seed=0)
    assert view.dtype == torch.float32 and view.shape == images[:64].shape
    assert view.min() >= 0 and view.max() <= 1
    assert torch.equal(images, before)


def test_grey_has_equal_channels_and_flip_is_a_mirror(images):
    grey = RandomView(ViewSettings(grey=1.0), (32, 32))(images[:8], seed=0)
    assert torch.allclose(grey[:, 0], grey[:, 1]) and torch.allclose(grey[:, 1], grey[:, 2])
    mirrored = RandomView(ViewSettings(flip=1.0), (32, 32))(images[:8], seed=0)
    assert torch.allclose(mirrored, images[:8].flip(3) / 255)


@pytest.mark.parametrize("area", [(0.02, 0.2), (0.1, 0.1), (0.3, 0.5)])
def test_occlusion_hides_one_rectangle_of_each_image_and_leaves_the_rest(images, area):
    faces = torch.cat([images, images[:100, :1].expand(-1, 3, -1, -1)])[:300]
    view = RandomView(ViewSettings(occlusion=1.0, occlusion_area=area), (32, 32))(faces, seed=1)
    shares, shapes, corners = [], set(), set()
    for before, after in zip(faces / 255, view, strict=True):
        hidden = (after == 0.5).all(0)
        rows, columns = hidden.any(1).nonzero().flatten(), hidden.any(0).nonzero().flatten()
        box = hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all() and torch.equal(after[:, ~hidden], before[:, ~hidden])
        shares.append(box.numel() / hidden.numel())
        shapes.add(tuple(box.shape))
        corners.add((int(rows[0]), int(columns[0])))
    rounded = 0.5 * (32 + 32) / 32**2 + 0.01  # to whole pixels in both directions
    assert min(shares) > area[0] - rounded and max(shares) < area[1] + rounded
    assert len(shapes) > 5 and len(corners) > 50
    middle, spread = sum(area) / 2, (area[1] - area[0]) / 12**0.5
    assert abs(sum(shares) / len(shares) - middle) < 5 * spread / 300**0.5 + 0.01


def test_occlusion_comes_last_and_leaves_the_other_draws_as_they_were(images):
    plain, hidden = (
        RandomView(ViewSettings(flip=0.5, jitter=0.8, blur=0.5, occlusion=p), (32, 32))(images[:50], 3) for p in (0, 1)
    )
    shown = (hidden != 0.5).any(1, keepdim=True).expand_as(plain)
    assert torch.equal(plain[shown], hidden[shown]) and 0.8 < float(shown.float().mean()) < 0.98


@pytest.mark.parametrize(("border", "mode"), [("black", "constant"), ("mirrored", "reflect")])
def test_shift_moves_each_image_by_whole_pixels(images, border, mode):
    view, framed = (
        RandomView(ViewSettings(shift=4, border=border), (32, 32))(images, seed=0),
        torch.nn.functional.pad(images.float(), (4,) * 4, mode=mode),
    )
    moves = [
        [
            (top, left)
            for top in range(9)
            for left in range(9)
            if torch.allclose(v, f[:, top : top + 32, left : left + 32] / 255, atol=1e-5)
        ]
        for v, f in zip(view, framed, strict=True)
    ]
    assert all(len(found) == 1 for found in moves), "each view is its image, moved"
    counts = torch.bincount(torch.tensor([9 * top + left for ((top, left),) in moves]), minlength=81)
    assert (counts > 0).sum() > 70 and counts.max() < 20, "all 81 places alike, drawn for each image"


@pytest.mark.parametrize(("dataset", "channels", "size"), [("lfw", 3, (64, 64)), ("orl", 1, (56, 46))])
def test_faces_of_both_sets_have_their_views(dataset, channels, size):
    settings = settings_for(FACES, dataset, channels)
    pixels = torch.randint(0, 256, (60, channels, *size), dtype=torch.uint8)
    view = RandomView(settings, size)
    first = view(pixels, seed=0)
    assert (
        first.shape == pixels.shape and torch.equal(first, view(pixels, seed=0)) and 0 <= first.min() < first.max() <= 1
    )
    assert not torch.equal(first, view(pixels, seed=1))
    if channels == 3:
        assert settings == FACES
    else:
        assert settings.jitter_strength == (*FACES.jitter_strength[:2], 0.0, 0.0) and settings.grey == 0
        assert (settings.occlusion, settings.blur, settings.flip) == (FACES.occlusion, FACES.blur, FACES.flip)


def test_weakened_scales_every_probability_and_nothing_else():
    assert FACES.weakened(0.5).occlusion == FACES.occlusion / 2
    assert FACES.weakened(0.5).occlusion_area == FACES.occlusion_area
    weak = DHD_STRONG.weakened(0.2)
    assert [weak.crop, weak.flip, weak.jitter, weak.grey, weak.blur] == pytest.approx([0.2, 0.1, 0.16, 0.04, 0.1])
    assert weak.jitter_strength == DHD_STRONG.jitter_strength and weak.crop_area == DHD_STRONG.crop_area


def test_digits_are_never_mirrored_and_grey_images_keep_no_colour_change():
    digits = settings_for(DHD_STRONG, "mnist", 1)
    assert settings_for(FACES, "mnist", 1).occlusion == 0.0
    assert digits.flip == digits.jitter == digits.grey == 0.0 and digits.crop == 1.0
    faces = settings_for(SIMCLR, "orl", 1)
    assert faces.flip == 0.5 and faces.grey == 0.0 and faces.jitter_strength[2:] == (0.0, 0.0)
    assert settings_for(SIMCLR, "cifar10", 3) == SIMCLR
    one_channel = torch.randint(0, 256, (4, 1, 64, 64), dtype=torch.uint8)
    assert RandomView(faces, (64, 64))(one_channel, seed=0).shape == (4, 1, 64, 64)


@pytest.mark.parametrize(
    ("told", "kept"), [((0.08, 1.0), (0.5, 1.0)), ((0.8, 0.9), (0.8, 0.9)), ((0.1, 0.3), (0.5, 1.0))]
)
def test_digits_keep_a_gentle_crop_and_at_least_half_their_area(told, kept):
    assert settings_for(ViewSettings(crop=1.0, crop_area=told), "mnist", 1).crop_area == kept


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"flip=1\.5"):
        ViewSettings(flip=1.5)
    with pytest.raises(ValueError, match=r"occlusion=-0\.1"):
        ViewSettings(occlusion=-0.1)
    for area in ((0.3, 0.1), (0.0, 0.2), (0.1, 1.0)):
        with pytest.raises(ValueError, match=r"occlusion_area=.*the smaller one first"):
            ViewSettings(occlusion_area=area)
    for area in ((0.5, 3.0), (-1, 1), (0.0, 1.0), (0.8, 0.5)):
        with pytest.raises(ValueError, match=r"crop_area=.*the smaller one first"):
            ViewSettings(crop_area=area)
    for deviation in ((2, 0.1), (0.0, 1.0), (-1.0, 1.0)):
        with pytest.raises(ValueError, match=r"blur_deviation=.*the smaller one first"):
            ViewSettings(blur_deviation=deviation)
    with pytest.raises(ValueError, match="shift=-1"):
        ViewSettings(shift=-1)
    with pytest.raises(ValueError, match="border='white': choose black or mirrored"):
        ViewSettings(border="white")
    with pytest.raises(ValueError, match="factor=2"):
        SIMCLR.weakened(2)
    with pytest.raises(ValueError, match="blurr"):
        SIMCLR.without("blurr")
    with pytest.raises(ValueError, match=r"\(3, 32, 32\)"):
        RandomView(SIMCLR, (32, 32))(torch.zeros(3, 32, 32), seed=0)
