"""GPQ as a method: its codebooks, its verbs, what its terms move, and that it learns a tiny batch by heart."""

import pytest
import torch

from retrieval_lib.augmentation import SHIFTED
from retrieval_lib.backbones import load_backbone
from retrieval_lib.evaluation import ADC
from retrieval_lib.index import PQIndex
from retrieval_lib.methods.base import Batch, describe
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.methods.gpq_losses import classification_loss, n_pair_pq_loss, negative_entropy
from retrieval_lib.quantization import intra_normalize
from retrieval_lib.training import History, load_checkpoint, save_checkpoint
from tests.methods.learning import learn


def small(seed=0, **settings):
    backbone = load_backbone("small-resnet", channels=1, width=4)
    return GPQ(backbone, 3, GPQSettings(**{"bits": 16, "dimension": 5} | settings), seed)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    labelled, unlabelled = (torch.rand(9, 1, 28, 28, generator=generator) for _ in range(2))
    return Batch([labelled], torch.eye(3).repeat(3, 1), [unlabelled])


def test_the_mixed_codebooks_are_those_of_a_loop():
    method = small()
    with torch.no_grad():
        method.codebooks.mul_(3)
    mixed, prototypes = method.mixed_codebooks(), intra_normalize(method.prototypes)
    assert mixed.shape == (4, 16, 5)
    for m in range(4):
        for k in range(16):
            near = torch.stack([-20 * (1 - method.codebooks[m, k] @ prototypes[m, c]) for c in range(3)]).softmax(0)
            summed = sum(near[c] * prototypes[m, c] for c in range(3))
            torch.testing.assert_close(mixed[m, k], summed / summed.norm())


def test_the_norm_of_z_is_an_inverse_temperature():
    """A long row of Z is one prototype; a short one is the mean of all."""
    method = small()
    prototypes = intra_normalize(method.prototypes)
    with torch.no_grad():
        method.codebooks.mul_(1e4)
    nearest = (method.mixed_codebooks().unsqueeze(2) - prototypes.unsqueeze(1)).norm(dim=3).min(2).values
    assert nearest.max() < 1e-3
    with torch.no_grad():
        method.codebooks.zero_()
    mean = intra_normalize(prototypes.mean(1, keepdim=True))
    torch.testing.assert_close(method.mixed_codebooks(), mean.expand(-1, 16, -1))


def test_soft_quantization_is_that_of_a_loop(batch):
    method = small().eval()
    parts = method.descriptors(batch.views[0]).unflatten(1, (4, 5))
    quantized, words = method.soft_quantized(parts), method.mixed_codebooks()
    for i in range(9):
        for m in range(4):
            near = torch.stack([-20 * (1 - parts[i, m] @ words[m, k]) for k in range(16)]).softmax(0)
            summed = sum(near[k] * words[m, k] for k in range(16))
            torch.testing.assert_close(quantized[i, m], summed / summed.norm())


def test_descriptors_codes_and_distances(batch):
    method = small().eval()
    x = method.descriptors(batch.views[0]).detach()
    codes, words = method.encode(x), method.mixed_codebooks().detach()
    assert x.shape == (9, 20) and codes.shape == (9, 4) and method.bits == method.quantizer().bits == 16
    torch.testing.assert_close(x.view(9, 4, 5).norm(dim=2), torch.ones(9, 4))
    products = torch.einsum("nmd,mkd->nmk", x.view(9, 4, 5), words)
    assert torch.equal(codes, products.argmax(2))
    found = method.distances(x[:2], codes)
    assert isinstance(found, ADC)
    one_minus = (1 - products[:2])[:, torch.arange(4), codes].sum(2)  # the published table's entries, summed
    torch.testing.assert_close(found.block(0, 2) + 4, one_minus)


def test_faiss_finds_what_the_distances_say(batch):
    method = small().eval()
    x = method.descriptors(batch.views[0]).detach()
    codes = method.encode(x)
    index = PQIndex(method.quantizer(), method.metric)
    index.add(codes)
    expected = method.distances(x, codes).block(0, 9)
    distances, ids = index.search(x, 9)
    torch.testing.assert_close(distances, expected.sort(dim=1).values, atol=1e-5, rtol=0)
    torch.testing.assert_close(expected.gather(1, ids), distances, atol=1e-5, rtol=0)


def test_every_term_can_be_left_out_and_weights_are_applied(batch):
    assert set(small().loss_terms(batch, 0)) == {"N-pair", "classification", "negative entropy"}
    alone = small(entropy=0, classification=0)
    labelled = Batch(batch.views, batch.targets)
    assert alone.unlabelled_views == () and set(alone.loss_terms(labelled, 0)) == {"N-pair"}
    once, thrice = (small(entropy=w, classification=w).eval().loss_terms(batch, 0) for w in (0.1, 0.3))
    for name in ("classification", "negative entropy"):
        torch.testing.assert_close(3 * once[name], thrice[name])
    torch.testing.assert_close(once["N-pair"], thrice["N-pair"])
    torch.testing.assert_close(small(pairs=2.0).eval().loss_terms(batch, 0)["N-pair"], 2 * once["N-pair"])
    assert set(small(pairs=0.0).loss_terms(batch, 0)) == {"classification", "negative entropy"}


def test_without_the_game_head_and_prototypes_both_lower_the_entropy(batch):
    game, plain = small().eval(), small(minimax=False).eval()
    entropy = plain.loss_terms(batch, 0)["entropy"]
    torch.testing.assert_close(entropy, -game.loss_terms(batch, 0)["negative entropy"])
    (head, prototypes) = torch.autograd.grad(entropy, (plain.head.weight, plain.prototypes))
    told = torch.autograd.grad(game.loss_terms(batch, 0)["negative entropy"], (game.head.weight, game.prototypes))
    torch.testing.assert_close(head, told[0])
    torch.testing.assert_close(prototypes, -told[1])


def test_the_weight_of_the_entropy_can_grow(batch):
    constant, growing = small().eval(), small(ramp=0.5).eval()
    whole = constant.loss_terms(batch, 0)["negative entropy"]
    for progress, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)):
        torch.testing.assert_close(growing.loss_terms(batch, progress)["negative entropy"], share * whole)
        torch.testing.assert_close(constant.loss_terms(batch, progress)["negative entropy"], whole)


def test_views_and_what_it_wants_unlabelled(batch):
    method = small()
    assert method.views == method.unlabelled_views == (SHIFTED,) and method.uses_labels
    with pytest.raises(ValueError, match=r"The batch has 0 views of unlabelled images.*takes 1"):
        method.loss_terms(Batch(batch.views, batch.targets), 0)
    with pytest.raises(ValueError, match=r"has 1 views.*entropy=0\.0 the method takes 0"):
        small(entropy=0.0).loss_terms(batch, 0)


def test_the_entropy_term_pulls_head_and_prototypes_in_opposite_directions(batch):
    """One step of each alone: the prototypes' raises the entropy of the unlabelled images, the head's lowers it."""
    method = small(classification=0).eval()
    # `entropy` weighs the term 0.1, and the term is the negative entropy
    start = float(method.loss_terms(batch, 0)["negative entropy"].detach())
    moved = {}
    for name, parameter in (("head", method.head.weight), ("prototypes", method.prototypes)):
        (gradient,) = torch.autograd.grad(method.loss_terms(batch, 0)["negative entropy"], parameter)
        with torch.no_grad():
            parameter.sub_(0.05 * gradient / gradient.norm())
            moved[name] = float(method.loss_terms(batch, 0)["negative entropy"])
            parameter.add_(0.05 * gradient / gradient.norm())
    assert moved["prototypes"] < start < moved["head"]


def test_each_half_has_its_own_batch_statistics(batch):
    """Other unlabelled images change nothing in what the labelled ones give, in training mode too."""
    other = Batch(batch.views, batch.targets, [batch.unlabelled[0] * 0.1])
    first, second = (small().train().loss_terms(b, 0) for b in (batch, other))
    assert torch.equal(first["N-pair"], second["N-pair"])
    assert not torch.isclose(first["negative entropy"], second["negative entropy"])


def test_all_parameters_get_a_gradient(batch):
    method = small().train()
    sum(method.loss_terms(batch, 0).values()).backward()
    assert [n for n, p in method.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("settings", [{}, {"entropy": 0.0}, {"classification": 0.0}])
def test_it_learns_a_tiny_batch_by_heart(batch, settings):
    method = small(**settings).train()
    seen = batch if method.unlabelled_views else Batch(batch.views, batch.targets)
    learn(method, seen, 80)
    x = method.descriptors(batch.views[0]).detach()
    distances = method.distances(x, method.encode(x)).block(0, 9)
    same = batch.targets @ batch.targets.T > 0
    assert distances[same].max() < distances[~same].min()


def test_only_the_backbone_computes_in_half_precision(batch):
    method = GPQ(load_backbone("small-resnet", channels=1, width=4, autocast=torch.bfloat16), 3, GPQSettings(bits=16))
    assert method.backbone.feature_map(batch.views[0]).dtype == torch.bfloat16
    assert {term.dtype for term in method.loss_terms(batch, 0).values()} == {torch.float32}
    assert method.descriptors(batch.views[0]).dtype == method.quantizer().codebooks.dtype == torch.float32


SEVERAL = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 1]]).repeat(3, 1).float()


@pytest.mark.parametrize("targets", [torch.eye(3).repeat(3, 1), SEVERAL], ids=["one label", "several"])
def test_the_terms_are_the_papers_with_its_weights(batch, targets):
    method = small().eval()
    x, t = (method.descriptors(v).unflatten(1, (4, 5)) for v in (batch.views[0], batch.unlabelled[0]))
    terms = method.loss_terms(Batch(batch.views, targets, batch.unlabelled), 0)
    prototypes = intra_normalize(method.prototypes)
    torch.testing.assert_close(terms["N-pair"], n_pair_pq_loss(x, method.soft_quantized(x), targets))
    torch.testing.assert_close(terms["classification"], 0.1 * classification_loss(x, prototypes, targets, 4.0))
    torch.testing.assert_close(terms["negative entropy"], 0.1 * negative_entropy(t, prototypes, 4.0))


def test_the_start_is_xaviers():
    method = small()
    for drawn, ends in ((method.codebooks, 16 + 20), (method.prototypes, 3 + 20)):
        assert 0.9 < float(drawn.detach().abs().max()) / (6 / ends) ** 0.5 <= 1.0001
    assert not method.head.bias.any()


def test_a_seed_fixes_the_start():
    first, again, other = (small(seed=s) for s in (0, 0, 1))
    for name in ("prototypes", "codebooks", "head.weight"):
        a, b, c = (m.state_dict()[name] for m in (first, again, other))
        assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(first.prototypes, first.codebooks[:, :3])


def test_saved_and_loaded_is_the_same(batch, tmp_path):
    method, other = small(), small(seed=1)
    save_checkpoint(tmp_path / "gpq.safetensors", method, {"bits": 16}, History(torch.arange(3)))
    load_checkpoint(tmp_path / "gpq.safetensors", other)
    method.eval(), other.eval()
    assert torch.equal(method.descriptors(batch.views[0]), other.descriptors(batch.views[0]))
    assert torch.equal(method.quantizer().codebooks, other.quantizer().codebooks)


@pytest.mark.parametrize(
    "wrong",
    [{"bits": 6}, {"bits": 0}, {"codewords": 10}, {"dimension": 0}, {"sharpness": 0.0}, {"scale": -1.0},
     {"entropy": -0.1}, {"classification": -1.0}, {"ramp": 1.5}, {"pairs": -1.0}, {"pairs": 0.0, "classification": 0.0}],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GPQSettings(**wrong)


def test_without_a_class_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="classes=0"):
        GPQ(load_backbone("small-resnet", channels=1, width=4), 0)


def test_only_bytes_are_described():
    with pytest.raises(ValueError, match=r"torch.float32 of shape \(2, 1, 28, 28\); expected uint8"):
        describe(small(), torch.zeros(2, 1, 28, 28))
