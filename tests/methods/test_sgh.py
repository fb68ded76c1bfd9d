"""SGH as a method: its verbs, its views, which parts its terms move, and that it learns a tiny batch by heart."""

from dataclasses import replace

import pytest
import torch
from learning import distances_by_label, learn

from retrieval_lib.augmentation import FACES, SIMCLR
from retrieval_lib.backbones import load_backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.dhd_losses import bce_quantization_loss, hash_proxy_loss
from retrieval_lib.methods.sgh import SGH, SGHSettings
from retrieval_lib.methods.sgh_losses import pairwise_similarity_loss, self_similarity_loss
from retrieval_lib.training import load_checkpoint, save_checkpoint
from retrieval_lib.training.history import History

TERMS = {
    "identity": "identity", "self-similarity": "self_similarity", "pairwise": "pairwise", "quantization": "quantization",
}  # fmt: skip


def small(**settings):
    return SGH(load_backbone("small-resnet", channels=1, width=4), 3, SGHSettings(**{"bits": 12} | settings))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(9, 1, 28, 28, generator=generator) for _ in range(2)]
    return Batch(views, torch.eye(3).repeat(3, 1))


def test_descriptors_codes_and_distances(batch):
    method = small().eval()
    h = method.descriptors(batch.views[0]).detach()
    codes = method.encode(h)
    assert h.shape == (9, 12) and h.abs().max() < 1 and torch.equal(codes, h >= 0)
    found = method.distances(h[:2], codes).block(0, 2)
    assert torch.equal(found, (codes[:2, None] != codes[None]).sum(2).int())


def test_all_views_are_drawn_alike_and_batches_by_person():
    method = small(view_count=3, view=SIMCLR, images_per_class=5)
    assert method.views == (SIMCLR,) * 3 and method.images_per_class == 5 and method.uses_labels
    assert small().views == (FACES, FACES)


def test_the_first_view_can_be_a_weaker_one():
    assert small(view_count=3, first_strength=0.5).views == (FACES.weakened(0.5), FACES, FACES)


def test_the_identity_term_can_read_the_first_view_alone(batch):
    method = small(supervise="first").eval()
    first = method.descriptors(batch.views[0])
    terms, all_terms = method.loss_terms(batch, 0), small().eval().loss_terms(batch, 0)
    torch.testing.assert_close(terms["identity"], hash_proxy_loss(first, method.proxies, batch.targets, 0.2))
    assert not torch.isclose(terms["identity"], all_terms["identity"])
    for name in set(terms) - {"identity"}:
        torch.testing.assert_close(terms[name], all_terms[name])
    with pytest.raises(ValueError, match="supervise='second': choose all or first"):
        small(supervise="second")


def test_each_term_is_its_loss_of_all_views(batch):
    method = small(
        identity=2.0, self_similarity=0.3, pairwise=0.7, quantization=0.2, temperature=0.5, pair_temperature=0.4
    )
    codes = [method.eval().descriptors(view) for view in batch.views]
    terms = method.loss_terms(batch, 0)
    expected = {
        "identity": 2 * sum(hash_proxy_loss(h, method.proxies, batch.targets, 0.5) for h in codes) / 2,
        "self-similarity": 0.3 * self_similarity_loss(codes),
        "pairwise": 0.7 * pairwise_similarity_loss(codes, batch.targets, 0.4),
        "quantization": 0.2 * sum(bce_quantization_loss(h) for h in codes) / 2,
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


@pytest.mark.parametrize("left_out", TERMS)
def test_every_term_can_be_left_out_and_the_others_stay(batch, left_out):
    whole, without = small().eval(), small(**{TERMS[left_out]: 0.0}).eval()
    all_terms, terms = whole.loss_terms(batch, 0), without.loss_terms(batch, 0)
    assert set(terms) == set(TERMS) - {left_out}
    for name in terms:
        torch.testing.assert_close(terms[name], all_terms[name])
    assert hasattr(without, "proxies") == (left_out != "identity")


def test_classification_only_differs_in_the_similarities_alone(batch):
    settings = SGHSettings(bits=12, view_count=3, images_per_class=2)
    baseline = settings.classification_only()
    assert replace(baseline, self_similarity=settings.self_similarity, pairwise=settings.pairwise) == settings
    method = small(self_similarity=0.0, pairwise=0.0)
    assert set(method.loss_terms(batch, 0)) == {"identity", "quantization"}
    assert small(view_count=1, self_similarity=0.0, pairwise=0.0).views == (FACES,)


def test_similarities_move_both_views_and_the_proxies_feel_the_identity_term_alone(batch):
    method = small().train()
    views = [view.clone().requires_grad_() for view in batch.views]
    terms = method.loss_terms(Batch(views, batch.targets), 0)
    for name, term in terms.items():
        found = torch.autograd.grad(term, [*views, method.proxies], allow_unused=True, retain_graph=True)
        assert found[0].abs().sum() > 0 and found[1].abs().sum() > 0
        assert (found[2] is not None and found[2].abs().sum() > 0) == (name == "identity")


@pytest.mark.parametrize(
    "settings",
    [{}, {"identity": 0.0, "pairwise": 1.0}, {"self_similarity": 0.0, "pairwise": 0.0}, {"quantization": 0.0}],
)
def test_it_learns_a_tiny_batch_by_heart(batch, settings):
    method, alike = small(**settings), Batch([batch.views[0]] * 2, batch.targets)
    learn(method, alike, 60)
    same, other = distances_by_label(method, alike)
    assert same.max() < other.min()


def test_self_similarity_brings_the_views_of_an_image_together(batch):
    def disagreement(weight):
        method = small(identity=1e-6, self_similarity=weight, pairwise=0.0, quantization=0.0)
        learn(method, batch, 20)
        first, second = (method.encode(method.descriptors(view).detach()) for view in batch.views)
        return float((first != second).float().mean())

    assert disagreement(1.0) < 0.5 * disagreement(0.0)


def test_a_seed_fixes_the_start_and_the_first_loss(batch):
    first, again, other = (
        SGH(load_backbone("small-resnet", channels=1, width=4), 3, SGHSettings(bits=12), seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(first.proxies, again.proxies) and not torch.equal(first.proxies, other.proxies)
    assert torch.equal(first.head.linear.weight, again.head.linear.weight)
    terms, terms_again = first.loss_terms(batch, 0), again.loss_terms(batch, 0)
    assert all(torch.equal(terms[name], terms_again[name]) for name in terms)


def test_saved_and_loaded_it_gives_the_same_codes(batch, tmp_path):
    method = small()
    learn(method, batch, 3)
    save_checkpoint(tmp_path / "sgh.safetensors", method, {"bits": 12}, History(torch.arange(3)))
    other = SGH(load_backbone("small-resnet", channels=1, width=4), 3, SGHSettings(bits=12), seed=5)
    load_checkpoint(tmp_path / "sgh.safetensors", other)
    assert torch.equal(method.eval().descriptors(batch.views[0]), other.eval().descriptors(batch.views[0]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0}, {"view_count": 0}, {"view_count": 1}, {"view_count": 1, "pairwise": 0.0}, {"temperature": 0.0},
        {"first_strength": 1.5}, {"pair_temperature": -1.0}, {"images_per_class": -1}, {"quantization": -0.1}, {"pairwise": -0.1},
        {"identity": 0.0, "self_similarity": 0.0, "pairwise": 0.0},
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SGHSettings(**wrong)
