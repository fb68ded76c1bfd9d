"""Block hashing: a bit reads its block only, the centre loss is the loop, and a tiny batch is learned by heart."""

import pytest
import torch
from learning import distances_by_label, learn

from retrieval_lib.augmentation import FACES
from retrieval_lib.backbones import load_backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.block_hashing import BlockHashing, BlockHashingSettings, BlockHead, centre_loss
from retrieval_lib.training import TrainingSettings
from retrieval_lib.training.loop import make_optimizer

TERMS = {
    "code classification": "code_classification",
    "descriptor classification": "descriptor_classification",
    "centre": "centre",
}


def small(seed=0, **settings):
    chosen = BlockHashingSettings(**{"bits": 12, "units": 3} | settings)
    return BlockHashing(load_backbone("small-resnet", channels=1, width=4), 3, chosen, seed)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(9, 1, 28, 28, generator=generator) for _ in range(2)]
    return Batch(views, torch.eye(3).repeat(3, 1))


@pytest.fixture
def head():
    return BlockHead(10, 5, 4, torch.Generator().manual_seed(0))


def test_a_bit_is_the_tanh_of_a_weighted_sum_of_its_block(head):
    with torch.no_grad():
        head.block_biases.copy_(torch.linspace(-1, 1, 5))
    blocks = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    found = head.hash_blocks(blocks).detach()
    for i in range(3):
        for bit in range(5):
            weighted = sum(float(head.block_weights[bit, u].detach() * blocks[i, 4 * bit + u]) for u in range(4))
            expected = torch.tanh(torch.tensor(weighted + float(head.block_biases[bit].detach())))
            assert float(found[i, bit]) == pytest.approx(float(expected), abs=1e-6)


def test_a_bit_reads_no_other_block(head):
    blocks = torch.randn(2, 20, generator=torch.Generator().manual_seed(1), requires_grad=True)
    (gradient,) = torch.autograd.grad(head.hash_blocks(blocks)[:, 2].sum(), blocks)
    assert gradient[:, 8:12].abs().min() > 0 and not gradient[:, :8].any() and not gradient[:, 12:].any()
    assert head.block_weights.numel() == 20, "a full layer would have 100"


def test_centre_loss_is_the_loop_with_its_gradients():
    generator = torch.Generator().manual_seed(0)
    x, centres = (torch.randn(n, 3, generator=generator, dtype=torch.float64).requires_grad_() for n in (5, 4))
    labels, before = [0, 3, 3, 1, 0], x.detach().clone()
    targets = torch.eye(4, dtype=torch.float64)[labels]
    expected = sum(float((x[i] - centres[c]).detach().square().sum()) / 2 for i, c in enumerate(labels)) / 5
    loss = centre_loss(x, centres, targets)
    assert loss.item() == pytest.approx(expected) and torch.equal(x, before)
    assert torch.autograd.gradcheck(lambda a, b: centre_loss(a, b, targets), (x, centres))
    loss.backward()
    assert not centres.grad[2].any(), "a class without an image is not moved"
    order = [4, 2, 0, 1, 3]
    torch.testing.assert_close(centre_loss(x[order], centres, targets[order]), loss)
    with pytest.raises(ValueError, match="exactly one label"):
        centre_loss(x, centres, torch.ones(5, 4))


def test_descriptors_codes_and_distances(batch):
    method = small().eval()
    h = method.descriptors(batch.views[0]).detach()
    codes = method.encode(h)
    assert h.shape == (9, 12) and h.abs().max() < 1 and torch.equal(codes, h >= 0) and method.bits == 12
    assert torch.equal(method.distances(h[:2], codes).block(0, 2), (codes[:2, None] != codes[None]).sum(2).int())
    assert method.views == (FACES,) and small(view_count=3, images_per_class=4).views == (FACES,) * 3
    assert small(view_count=2, first_strength=0.5).views == (FACES.weakened(0.5), FACES)


def test_terms_are_means_over_the_views_with_their_weights(batch):
    method = small(view_count=2, centre=0.3, descriptor_classification=0.7, code_classification=2.0).eval()
    with torch.no_grad():
        method.centres.normal_(generator=torch.Generator().manual_seed(3))
    both = method.loss_terms(batch, 0)
    alone = [method.loss_terms(Batch([view], batch.targets), 0) for view in batch.views]
    expected = {name: [] for name in both}
    for view in batch.views:
        blocks = method.head.blocks(method.backbone(view))
        logits = method.code_classifier(method.head.hash_blocks(blocks)), method.descriptor_classifier(blocks)
        errors = [-(batch.targets * values.log_softmax(1)).sum(1).mean() for values in logits]
        expected["code classification"].append(2.0 * errors[0])
        expected["descriptor classification"].append(0.7 * errors[1])
        expected["centre"].append(0.3 * centre_loss(blocks, method.centres, batch.targets))
    for name in TERMS:
        torch.testing.assert_close(both[name], sum(expected[name]) / 2)
        torch.testing.assert_close(both[name], (alone[0][name] + alone[1][name]) / 2)


@pytest.mark.parametrize("left_out", ["descriptor classification", "centre"])
def test_terms_can_be_left_out_and_the_others_stay(batch, left_out):
    whole, without = small().eval().loss_terms(batch, 0), small(**{TERMS[left_out]: 0.0}).eval()
    terms = without.loss_terms(batch, 0)
    assert set(terms) == set(TERMS) - {left_out}
    torch.testing.assert_close(terms["code classification"], whole["code classification"])
    assert len(list(without.parameters())) < len(list(small().parameters()))


def test_which_parts_each_term_moves(batch):
    method = small().train()
    parts = {
        "bits": method.head.block_weights, "blocks": method.head.linear.weight, "centres": method.centres,
        "codes": method.code_classifier.weight, "descriptor": method.descriptor_classifier.weight,
    }  # fmt: skip
    moved = {}
    for name, term in method.loss_terms(batch, 0).items():
        gradients = torch.autograd.grad(term, parts.values(), allow_unused=True, retain_graph=True)
        moved[name] = {part for part, g in zip(parts, gradients, strict=True) if g is not None and g.any()}
    assert moved == {
        "code classification": {"bits", "blocks", "codes"},
        "descriptor classification": {"blocks", "descriptor"},
        "centre": {"blocks", "centres"},
    }


def test_centres_are_not_pulled_to_zero():
    method = small()
    groups = make_optimizer(method, TrainingSettings(1, weight_decay=0.3)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay[id(method.centres)] == 0 and decay[id(method.head.linear.weight)] == 0.3
    assert len(decay) == len(list(method.parameters()))


@pytest.mark.parametrize("settings", [{}, {"centre": 0.0, "descriptor_classification": 0.0}])
def test_it_learns_a_tiny_batch_by_heart(batch, settings):
    method, one_view = small(**settings), Batch(batch.views[:1], batch.targets)
    learn(method, one_view, 60)
    same, other = distances_by_label(method, one_view)
    assert same.max() < other.min()


def test_a_seed_fixes_the_start():
    started = []
    for seed, elsewhere in ((0, 5), (0, 6), (1, 7)):
        torch.manual_seed(elsewhere)  # the global random state does not matter
        started.append(small(seed).state_dict())
    first, again, other = started
    own = [name for name in first if not name.startswith("backbone")]
    assert all(torch.equal(first[name], again[name]) for name in own)
    drawn = {name for name in own if not torch.equal(first[name], other[name])}
    assert drawn == {
        "head.linear.weight", "head.block_weights", "code_classifier.weight", "descriptor_classifier.weight"
    }  # fmt: skip
    torch.manual_seed(1)
    state = torch.get_rng_state()
    BlockHead(4, 3, 2, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state), "the global random state is left alone"


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0}, {"units": 0}, {"view_count": 0}, {"first_strength": 1.5}, {"images_per_class": -1},
        {"centre": -1.0}, {"descriptor_classification": -1.0}, {"code_classification": 0.0},
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BlockHashingSettings(**wrong)
