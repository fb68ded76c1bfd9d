"""torchvision's networks without their last layer: their own features, and what they refuse."""

from functools import partial
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from torchvision.models import alexnet, resnet50

from retrieval_lib.backbones import load_backbone
from retrieval_lib.backbones.torchvision_models import IMAGENET, AlexNet
from retrieval_lib.files import sha256_of_file


@pytest.mark.parametrize(
    ("name", "build", "last"), [("alexnet", alexnet, "classifier.6"), ("resnet50", resnet50, "fc")]
)
def test_descriptors_are_what_the_last_layer_of_torchvisions_network_reads(name, build, last):
    backbone = load_backbone(name, pretrained=False).eval()
    reference = build().eval()
    own = backbone.network.state_dict()
    reference.load_state_dict({**reference.state_dict(), **own})
    read = []
    reference.get_submodule(last).register_forward_hook(lambda module, inputs, output: read.append(inputs[0]))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
    with torch.no_grad():
        reference((images - mean) / deviation)
        found = backbone(images)
    assert found.shape == (2, backbone.dimension)
    torch.testing.assert_close(found, read[0], rtol=1e-3, atol=1e-4)


def test_a_seed_fixes_the_random_weights_and_leaves_the_global_state_alone():
    before = torch.random.get_rng_state()
    first, again, other = (
        load_backbone("alexnet", pretrained=False, seed=s).network.features[0].weight for s in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Random weights of AlexNet in the cache of torch.hub, under a name that says their checksum."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network, folder = alexnet(), tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "new.pth")
    file = (folder / "new.pth").rename(folder / f"alexnet-own-{sha256_of_file(folder / 'new.pth')[:8]}.pth")
    weights = SimpleNamespace(url=f"http://127.0.0.1:9/models/{file.name}")
    weights.get_state_dict = partial(torch.hub.load_state_dict_from_url, weights.url)  # as torchvision's has it
    monkeypatch.setattr(AlexNet, "weights", weights)
    return file, network


def test_weights_in_the_cache_are_read(cached):
    own = load_backbone("alexnet").network.state_dict()
    assert all(torch.equal(cached[1].state_dict()[name], tensor) for name, tensor in own.items())


@pytest.mark.parametrize("damaged", ["truncated", "altered"])
def test_weights_in_the_cache_that_are_not_those_of_their_name_are_refused(cached, damaged):
    file = cached[0]
    if damaged == "truncated":
        with file.open("rb+") as kept:
            kept.truncate(1000)
    else:
        torch.save(alexnet().state_dict(), file)
    with pytest.raises(ValueError, match=rf"{file.name} has the wrong checksum: .*remove it"):
        load_backbone("alexnet")


def test_weights_that_cannot_be_fetched(cached):
    cached[0].unlink()
    with pytest.raises(URLError):
        load_backbone("alexnet")


def test_grey_and_small_images_are_refused():
    with pytest.raises(ValueError, match="channels=1"):
        load_backbone("alexnet", channels=1, pretrained=False)
    with pytest.raises(ValueError, match="at least 64"):
        load_backbone("alexnet", pretrained=False)(torch.rand(1, 3, 32, 32))
