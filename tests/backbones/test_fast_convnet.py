"""The fast network: whitened patches, layers that begin as the identity, its own pooling."""

import pytest
import torch
from torch.nn import functional as F

from retrieval_lib.backbones import STATISTICS, FastConvNet, load_backbone, settle_batch_statistics


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.rand(60, 3, 8, 8, generator=generator), size=32, mode="bilinear")
    noise = 0.05 * torch.rand(60, 3, 32, 32, generator=generator)
    return ((smooth + noise).clamp(0, 1) * 255).to(torch.uint8)


def test_size_and_shapes():
    network = load_backbone("fast-convnet", channels=3)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(1.97e6, rel=0.01)
    assert network.dimension == 256 and network(torch.rand(2, 3, 32, 32)).shape == (2, 256)
    assert network.feature_map(torch.rand(2, 3, 32, 32)).shape == (2, 256, 3, 3)


def test_whitened_patches_are_uncorrelated_and_of_variance_one(images):
    network = FastConvNet(statistics=STATISTICS["cifar10"])
    network.whiten(images)
    out = network.first(network.normalise(images.float() / 255)).transpose(0, 1).flatten(1)[:12]  # (12, n)
    moments = out @ out.T / out.shape[1]
    assert (moments - torch.diag(moments.diag())).abs().max() < 0.01
    assert moments.diag().max() < 1.01 and moments.diag()[-6:].min() > 0.9  # the weak ones stay below one
    assert torch.equal(network.first.weight[:12], -network.first.weight[12:])


def test_the_first_layer_is_not_learned_but_its_bias_is(images):
    network = FastConvNet(widths=(24, 24, 24))
    network(images[:4].float() / 255).square().sum().backward()
    assert network.first.weight.grad is None and network.first.bias.grad.abs().sum() > 0


def test_layers_begin_as_the_identity():
    network = FastConvNet(widths=(48, 48, 48))
    x = torch.randn(2, 48, 6, 6)
    torch.testing.assert_close(network.groups[1].conv2(x), x)
    torch.testing.assert_close(network.groups[0].conv1(x[:, :24])[:, :24], x[:, :24])


def test_a_seed_fixes_the_start_and_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    first, again, other = (FastConvNet(widths=(32, 48, 48), seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [n.groups[1].conv1.weight for n in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_descriptor_is_the_maximum(images):
    network = FastConvNet(widths=(24, 24, 24)).eval()
    x = images[:3].float() / 255
    torch.testing.assert_close(network(x), network.feature_map(x).amax((2, 3)).float())


def test_a_grid_keeps_places_apart(images):
    network = FastConvNet(widths=(24, 24, 24), cells=3).eval()
    x = images[:3].float() / 255
    assert network.dimension == 9 * 24
    torch.testing.assert_close(network(x), network.feature_map(x).flatten(1).float())  # the map is 3 x 3
    mirrored = network(x.flip(3)).view(3, 24, 3, 3)
    assert not torch.allclose(mirrored, network(x).view(3, 24, 3, 3), atol=1e-3)


def test_a_stride_of_two_halves_the_map_and_reads_every_pixel(images):
    network = FastConvNet(widths=(24, 24, 24), stride=2)
    network.whiten(images)
    large = F.interpolate(images[:1].float() / 255, size=64).requires_grad_()
    assert network.feature_map(large).shape == (1, 24, 4, 4)
    network.first(large).abs().sum().backward()
    assert (large.grad.abs().sum(1) > 0).all()


def test_wrong_images_are_named(images):
    with pytest.raises(ValueError, match="expected uint8"):
        FastConvNet().whiten(images.float())
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\)"):
        FastConvNet(channels=1).whiten(images)


def test_no_images_have_no_statistics(images):
    with pytest.raises(ValueError, match="no images"):
        settle_batch_statistics(FastConvNet(), images[:0])


def test_settled_statistics_are_those_of_the_images_and_change_no_training():
    images = torch.randint(0, 256, (40, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain, settled = (FastConvNet(channels=1, widths=(8, 16, 16)) for _ in range(2))
    with torch.no_grad():
        settled.groups[0].norm1.running_mean.fill_(100)  # of another run, and far away
    settle_batch_statistics(settled, images, batch_size=20)
    assert not settled.training
    pixels = images.float() / 255
    seen = settled.groups[0].conv1(F.gelu(settled.first(settled.normalise(pixels))))
    seen = F.max_pool2d(seen, 2)
    rest = settled.groups[0].norm1.running_mean - seen.mean((0, 2, 3))  # what is left of the hundred
    assert rest.min() > 0.55 and rest.max() < 0.65, "two batches, taken ten times at a momentum of 0.4: 0.6**10 of it"
    assert torch.equal(plain.train()(pixels), settled.train()(pixels)), "its own batch decides while it trains"


def test_one_image_that_is_left_over_does_not_weigh_as_much_as_a_batch(images):
    with_rest, without = (FastConvNet(widths=(8, 16, 16)) for _ in range(2))
    few = images[:9]
    settle_batch_statistics(with_rest, few, batch_size=4)
    settle_batch_statistics(without, few[:8], batch_size=4)
    assert torch.equal(with_rest.groups[0].norm1.running_mean, without.groups[0].norm1.running_mean)
