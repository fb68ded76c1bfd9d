"""GPQ's network: its shapes, its size, what its descriptor is made of, and its random state."""

import pytest
import torch
from torch.nn import functional as F

from retrieval_lib.backbones import SmallVGG, load_backbone


def random_images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (32, 32)), (3, (33, 46))])
def test_shapes(channels, size):
    backbone, images = load_backbone("small-vgg", channels=channels).eval(), random_images(2, channels, *size)
    assert backbone.feature_map(images).shape == (2, 768, size[0] // 8, size[1] // 8)
    assert backbone(images).shape == (2, 768) == (2, backbone.dimension)


def test_parameters_are_those_of_ten_convolutions():
    inputs, outputs = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512), (64, 64, 128, 128, 256, 256, 256, 512, 512, 512)
    expected = sum(9 * i * o + 2 * o for i, o in zip(inputs, outputs, strict=True))  # batch norm: two numbers a channel
    assert sum(p.numel() for p in SmallVGG().parameters()) == expected


def test_the_descriptor_is_the_averages_of_the_last_block_and_of_what_went_into_it():
    backbone, images = SmallVGG().eval(), random_images(2, 3, 32, 32)
    x = images
    for block in backbone.blocks[:3]:
        x = F.max_pool2d(block(x), 2)
    expected = torch.cat([backbone.blocks[3](x).mean((2, 3)), x.mean((2, 3))], 1)
    torch.testing.assert_close(backbone(images), expected, rtol=1e-4, atol=1e-5)
    assert x.shape == (2, 256, 4, 4)


def test_the_seed_decides_and_the_global_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = SmallVGG(seed=1)
    assert torch.equal(torch.rand(3), expected)
    again, other = SmallVGG(seed=1), SmallVGG(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.blocks[0][0].weight, other.blocks[0][0].weight)


def test_every_parameter_gets_a_gradient():
    backbone = SmallVGG()
    backbone(random_images(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())
