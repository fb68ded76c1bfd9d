"""A method that looks at mirror images, too: the two cannot be told apart, and codes are the method's own."""

import pytest
import torch

from retrieval_lib.backbones.fast_convnet import FastConvNet
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.both_ways import BothWays
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.methods.gpq import GPQ, GPQSettings


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[DHD, GPQ])
def method(request):
    torch.manual_seed(0)
    settings = {DHD: DHDSettings(bits=16), GPQ: GPQSettings(bits=12)}[request.param]
    return request.param(FastConvNet(3, (8, 16, 16)), 10, settings, 0).eval()


def test_an_image_and_its_mirror_image_have_one_descriptor_the_mean_of_both(method, images):
    both = BothWays(method)
    found = describe(both, images)
    expected = (describe(method, images) + describe(method, images.flip(-1))) / 2
    assert not torch.allclose(describe(method, images), expected, atol=1e-3)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(describe(both, images.flip(-1)), found, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_it_leaves_the_method_in_its_mode(method, images, training):
    method.train(training)
    describe(BothWays(method), images)
    assert all(module.training == training for module in method.modules())


def test_codes_distances_and_codebooks_are_those_of_the_method(method, images):
    both, descriptors = BothWays(method), describe(method, images)
    codes = both.encode(descriptors)
    assert torch.equal(codes, method.encode(descriptors)) and both.bits == method.bits
    apart = [m.distances(descriptors[:2], codes).block(0, 2) for m in (both, method)]
    assert torch.equal(*apart)
    own, wrapped = method.quantizer(), both.quantizer()
    assert (own is None) == (wrapped is None)
    assert own is None or torch.equal(own.codebooks, wrapped.codebooks)
