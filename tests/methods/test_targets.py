"""Labels where they enter a loss: an image without one, and targets of another shape, are refused by every method."""

import pytest
import torch

from retrieval_lib.backbones import load_backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.block_hashing import BlockHashing, BlockHashingSettings, centre_loss
from retrieval_lib.methods.dhd import DHD, LOSSES, DHDSettings
from retrieval_lib.methods.dhd_losses import hash_proxy_loss
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.methods.gpq_losses import classification_loss, n_pair_pq_loss
from retrieval_lib.methods.hash_losses import hashnet_loss, target_codes
from retrieval_lib.methods.sgh import SGH, SGHSettings
from retrieval_lib.methods.sgh_losses import pairwise_similarity_loss
from retrieval_lib.methods.targets import labelled

CODES, PARTS, CENTRES = torch.rand(6, 8), torch.rand(6, 2, 4), torch.ones(4, 8)
ENTRANCES = {
    "hash proxy": lambda targets: hash_proxy_loss(CODES, CENTRES, targets, 0.2),
    "target codes": lambda targets: target_codes(CENTRES, targets),
    "HashNet": lambda targets: hashnet_loss(CODES, targets),
    "pairwise similarity": lambda targets: pairwise_similarity_loss([CODES, CODES], targets, 0.2),
    "centre": lambda targets: centre_loss(CODES, CENTRES, targets),
    "N-pair": lambda targets: n_pair_pq_loss(PARTS, PARTS, targets),
    "classification": lambda targets: classification_loss(PARTS, torch.rand(2, 4, 4), targets, 4.0),
}
KNOW_THE_CLASSES = ("hash proxy", "target codes", "centre", "classification")
KNOW_THE_BATCH = tuple(name for name in ENTRANCES if name != "target codes")
METHODS = {
    **{loss: lambda b, loss=loss: DHD(b, 3, DHDSettings(bits=16, loss=loss)) for loss in LOSSES},
    "SGH": lambda b: SGH(b, 3),
    "SGH, pairs only": lambda b: SGH(b, 3, SGHSettings(identity=0)),
    "GPQ": lambda b: GPQ(b, 3, GPQSettings(entropy=0)),
    "block hashing": lambda b: BlockHashing(b, 3),
    "block hashing, no centres": lambda b: BlockHashing(b, 3, BlockHashingSettings(centre=0)),
}


@pytest.fixture
def targets():
    return torch.eye(4)[[0, 1, 2, 3, 0, 1]]


def test_targets_are_given_back_in_the_asked_type_and_left_alone(targets):
    whole = targets.long()
    found = labelled(whole, torch.float64, 6, 4)
    assert found.dtype == torch.float64 and torch.equal(found, targets.double()) and whole.dtype == torch.int64


@pytest.mark.parametrize("name", METHODS)
def test_no_method_learns_from_an_image_without_a_label(name):
    method = METHODS[name](load_backbone("small-resnet", channels=1, width=4))
    views = [torch.rand(4, 1, 28, 28) for _ in method.views]
    targets = torch.eye(3)[[0, 1, 2, 0]]
    assert all(torch.isfinite(term) for term in method.loss_terms(Batch(views, targets), 0).values())
    targets[2] = 0
    with pytest.raises(ValueError, match="Row 2 of the targets is an image without a label"):
        method.loss_terms(Batch(views, targets), 0)


@pytest.mark.parametrize("method", [DHD, SGH, GPQ, BlockHashing])
def test_a_method_needs_a_class(method):
    with pytest.raises(ValueError, match="classes=0: give how many labels there are, at least 1"):
        method(load_backbone("small-resnet", channels=1, width=4), 0)


@pytest.mark.parametrize("name", ENTRANCES)
def test_every_loss_names_the_row_that_has_no_label(name, targets):
    ENTRANCES[name](targets)
    for nothing in (0.0, torch.nan):
        targets[1] = nothing
        with pytest.raises(ValueError, match="Row 1 of the targets"):
            ENTRANCES[name](targets)


@pytest.mark.parametrize("name", ENTRANCES)
def test_every_loss_refuses_targets_of_another_shape(name, targets):
    wrong = [torch.arange(6)]
    wrong += [targets[:, :1] + 1] if name in KNOW_THE_CLASSES else []
    wrong += [targets[:1], targets[:5]] if name in KNOW_THE_BATCH else []
    for one in wrong:
        with pytest.raises(ValueError, match=r"expected one-hot or multi-hot \("):
            ENTRANCES[name](one)
