"""The two residual networks: shapes, sizes, equality with torchvision, precision, determinism, gradients."""

import pytest
import torch
import torchvision

from retrieval_lib.backbones import CifarResNet18, SmallResNet, load_backbone


def random_images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (112, 92)])
def test_small_resnet_takes_every_size_and_both_channel_counts(channels, size):
    backbone = SmallResNet(channels=channels).eval()
    images = random_images(2, channels, *size)
    features, descriptors = backbone.feature_map(images), backbone(images)
    assert features.shape == (2, 128, -(-size[0] // 8), -(-size[1] // 8))
    assert descriptors.shape == (2, 128) == (2, backbone.dimension)
    torch.testing.assert_close(descriptors, features.mean((2, 3)))


def test_parameter_counts():
    # stem 3·9·32; blocks of 3×3 convolutions; 1×1 shortcuts; two numbers a channel in each batch norm
    small = 27 * 32 + 2 * 9 * 32 * 32 + 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 9 * 64 * 128 + 9 * 128 * 128 + 64 * 128
    assert parameters(SmallResNet()) == small + 2 * (32 + 2 * 32 + 3 * 64 + 3 * 128) == 307_360
    assert parameters(CifarResNet18()) == 11_173_962 - 5_130  # the well-known count, less its classifier


def test_width_sets_the_dimension():
    assert SmallResNet(width=12)(random_images(2, 3, 32, 32)).shape == (2, 48)
    with pytest.raises(ValueError, match="width=0"):
        SmallResNet(width=0)


def test_cifar_resnet18_equals_torchvision_with_a_small_stem():
    ours = CifarResNet18(seed=3).eval()
    theirs = torchvision.models.resnet18()
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = theirs.fc = torch.nn.Identity()
    for number in range(1, 5):  # their names for what we call shortcut, norm1, ...
        assert len(getattr(theirs, f"layer{number}")) == 2
    renamed = {}
    for name, value in ours.state_dict().items():
        if name.startswith("stem"):
            _, position, rest = name.split(".")
            renamed[f"{('conv1', 'bn1')[int(position)]}.{rest}"] = value
        elif name.startswith("stages"):
            _, block, rest = name.split(".", 2)
            rest = rest.replace("norm", "bn").replace("shortcut", "downsample")
            renamed[f"layer{int(block) // 2 + 1}.{int(block) % 2}.{rest}"] = value
    theirs.load_state_dict(renamed)
    images = random_images(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs.eval()(images), rtol=1e-4, atol=1e-5)


def test_same_seed_same_weights_and_global_random_state_untouched():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = SmallResNet(seed=1)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    second, other = SmallResNet(seed=1), SmallResNet(seed=2)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(first.stem[0].weight, other.stem[0].weight)


def test_initial_weights_keep_the_scale_of_gradients():
    weight = CifarResNet18().stages[-2].conv1.weight  # from 256 to 512 channels; He: variance 2 / (512 · 9)
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_every_parameter_gets_a_gradient_and_images_are_not_changed():
    backbone = SmallResNet(statistics=((0.5,) * 3, (0.25,) * 3))
    images = random_images(4, 3, 32, 32).requires_grad_()
    before = images.detach().clone()
    target = random_images(4, 128, seed=1)
    (backbone(images) - target).square().mean().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert images.grad.abs().sum() > 0
    assert torch.equal(images.detach(), before)


def test_gradients_agree_with_finite_differences():
    backbone = SmallResNet(channels=1, width=2).double().eval()
    images = random_images(1, 1, 28, 28).double()
    weight = backbone.stages[1].conv1.weight

    def loss():
        return backbone(images).square().sum()

    loss().backward()
    with torch.no_grad():
        index, step = (1, 0, 1, 1), 1e-6
        value = weight[index].item()
        weight[index] = value + step
        above = loss()
        weight[index] = value - step
        below = loss()
    assert weight.grad[index].item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-4)


def test_channels_last_changes_nothing():
    fast = SmallResNet().eval()
    plain = SmallResNet().to(memory_format=torch.contiguous_format).eval()
    images = random_images(4, 3, 32, 32)
    assert fast.stages[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert plain.stages[0].conv1.weight.is_contiguous()
    torch.testing.assert_close(fast(images), plain.layers(images).mean((2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast(images), fast(images.to(memory_format=torch.channels_last)), rtol=1e-4, atol=1e-5)


def test_bfloat16_is_close_and_descriptors_stay_float32():
    precise, fast = SmallResNet().eval(), SmallResNet(autocast=torch.bfloat16).eval()
    images = random_images(8, 3, 32, 32)
    assert fast.feature_map(images).dtype == torch.bfloat16
    assert precise.feature_map(images).dtype == fast(images).dtype == torch.float32
    error = (fast(images) - precise(images)).norm() / precise(images).norm()
    assert 0 < error < 0.02  # bfloat16 keeps 8 binary digits


def test_normalisation_belongs_to_the_backbone_and_is_saved_with_it():
    statistics = ((0.2, 0.3, 0.4), (0.1, 0.2, 0.5))
    normalising, plain = SmallResNet(statistics=statistics).eval(), SmallResNet().eval()
    images = random_images(2, 3, 32, 32)
    by_hand = torch.stack([(images[:, c] - statistics[0][c]) / statistics[1][c] for c in range(3)], 1)
    torch.testing.assert_close(normalising(images), plain(by_hand))
    plain.load_state_dict(normalising.state_dict())
    assert torch.equal(plain(images), normalising(images))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(3, 32, 32), r"\(3, 32, 32\)"),
        (torch.zeros(2, 1, 32, 32), r"\(B, 3, H, W\)"),
        (torch.zeros(2, 3, 32, 27), "at least 28"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "uint8"),
    ],
)
def test_wrong_images_are_refused(images, said):
    with pytest.raises(ValueError, match=said):
        SmallResNet()(images)


def test_factory_knows_its_names():
    assert type(load_backbone("small-resnet", width=16, channels=1)) is SmallResNet
    assert load_backbone("cifar-resnet18", channels=1).channels == 1
    assert torch.equal(load_backbone("small-resnet", seed=4).stem[0].weight, SmallResNet(seed=4).stem[0].weight)
    with pytest.raises(
        ValueError, match=r"'vgg'.*small-resnet, fast-convnet, cifar-resnet18, small-vgg, efficientnet-lite0"
    ):
        load_backbone("vgg")
    with pytest.raises(ValueError, match="channels=4"):
        load_backbone("small-resnet", channels=4)
