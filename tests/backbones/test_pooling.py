"""Pooling against naive loops and the limits that the formulas must have."""

import pytest
import torch

from retrieval_lib.backbones import average_pool, gem_pool, max_pool, regional_pool
from retrieval_lib.backbones.pooling import regions


@pytest.fixture
def features():
    return torch.rand(2, 5, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_average_maximum_and_gem_equal_loops(features):
    for b in range(2):
        for c in range(5):
            values = features[b, c].flatten().tolist()
            assert average_pool(features)[b, c].item() == pytest.approx(sum(values) / 12)
            assert max_pool(features)[b, c].item() == max(values)
            assert gem_pool(features, 3.0)[b, c].item() == pytest.approx((sum(v**3 for v in values) / 12) ** (1 / 3))


def test_gem_is_the_average_at_1_and_nears_the_maximum(features):
    torch.testing.assert_close(gem_pool(features, 1.0), average_pool(features))
    torch.testing.assert_close(gem_pool(features, 500.0), max_pool(features), rtol=0.01, atol=0)


def test_gem_learns_its_power_and_survives_zeros():
    features = torch.rand(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    power = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gem_pool, (features.requires_grad_(), power))
    zeros = torch.zeros(1, 2, 3, 3, requires_grad=True)
    gem_pool(zeros).sum().backward()
    assert zeros.grad.isfinite().all()


def test_half_precision_maps_are_pooled_in_float32():
    features = torch.full((1, 1, 100, 100), 3.0, dtype=torch.bfloat16)
    for pool in (average_pool, max_pool, gem_pool, regional_pool):
        assert pool(features).dtype == torch.float32
    assert average_pool(features).item() == 3.0


def test_regions_of_a_square_map_are_evenly_spread_and_cover_it():
    # level 1: the map; level 2: four windows of 2/3; level 3: nine of half the side (Tolias et al., figure 1)
    windows = regions(6, 6, levels=3)
    assert windows == [(0, 0, 6)] + [(t, left, 4) for t in (0, 2) for left in (0, 2)] + [
        (t, left, 3) for t in (0, 1, 3) for left in (0, 1, 3)
    ]


def test_a_longer_axis_gets_more_regions_that_overlap_by_about_40_percent():
    # 6 × 10: side 6; with two windows neighbours overlap by 1 − 4/6 = 33 %, with three by 67 %
    assert regions(6, 10, levels=1) == [(0, 0, 6), (0, 4, 6)]
    assert regions(10, 6, levels=1) == [(0, 0, 6), (4, 0, 6)]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 3), (2, 7)])
def test_regions_stay_inside_and_none_comes_twice(shape):
    windows = regions(*shape, levels=4)
    assert len(set(windows)) == len(windows) > 0
    for top, left, side in windows:
        assert min(top, left) >= 0 and side >= 1 and top + side <= shape[0] and left + side <= shape[1]


def test_regional_pool_equals_a_loop_over_regions(features):
    for b in range(2):
        total = torch.zeros(5, dtype=torch.float64)
        for top, left, side in regions(4, 3, levels=2):
            vector = torch.tensor(
                [features[b, c, top : top + side, left : left + side].max().item() for c in range(5)]
            ).double()
            total += vector / vector.norm()
        torch.testing.assert_close(regional_pool(features, levels=2)[b], total / total.norm())


def test_one_region_is_the_normalised_maximum(features):
    square = features[:, :, :3]
    torch.testing.assert_close(regional_pool(square, levels=1), torch.nn.functional.normalize(max_pool(square), dim=1))
