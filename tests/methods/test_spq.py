"""SPQ as a method: its quantiser, its verbs, that it uses no labels, and that it learns a tiny batch by heart."""

import pytest
import torch

from retrieval_lib.augmentation import SIMCLR
from retrieval_lib.backbones import load_backbone
from retrieval_lib.index import PQIndex
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.methods.spq_losses import contrastive_loss, cross_quantized_contrastive_loss, uneven_use_loss
from retrieval_lib.training import History, load_checkpoint, save_checkpoint


def small(seed=0, **settings):
    backbone = load_backbone("small-resnet", channels=1, width=4)
    return SPQ(backbone, SPQSettings(**{"bits": 16, "dimension": 5, "hidden": 32} | settings), seed)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return Batch([torch.rand(9, 1, 28, 28, generator=generator) for _ in range(2)], None)


def test_the_soft_quantiser_is_that_of_a_loop(batch):
    method = small(sharpness=3.0).eval()
    x = method.descriptors(batch.views[0])
    z = method.soft_quantized(x).view(9, 4, 5)
    for i in range(9):
        for m in range(4):
            part, words = x[i, 5 * m : 5 * m + 5], method.codebooks[m]
            near = torch.stack([-3 * ((part - word) ** 2).sum() for word in words]).softmax(0)
            torch.testing.assert_close(z[i, m], sum(near[k] * words[k] for k in range(16)))


def test_the_head_is_linear_relu_linear_and_the_start_is_xaviers(batch):
    method = small().eval()
    head, features = method.head, method.backbone(batch.views[0])
    hidden = (features @ head.first.weight.T + head.first.bias).clamp(min=0)
    expected = hidden @ head.last.weight.T + head.last.bias
    torch.testing.assert_close(method.descriptors(batch.views[0]), expected)
    inputs = features.shape[1]
    for drawn, ends in ((head.first.weight, inputs + 32), (head.last.weight, 32 + 20), (method.codebooks, 16 + 20)):
        assert 0.9 < float(drawn.detach().abs().max()) / (6 / ends) ** 0.5 <= 1.0001
    assert not head.first.bias.any() and not head.last.bias.any()


def test_faiss_finds_what_the_squared_distances_say_and_has_no_plain_ones(batch):
    method = small().eval()
    x = method.descriptors(batch.views[0]).detach()
    codes, index = method.encode(x), PQIndex(method.quantizer(), method.metric)
    index.add(codes)
    distances, ids = index.search(x, 9)
    expected = method.distances(x, codes).block(0, 9)
    torch.testing.assert_close(distances, expected.sort(dim=1).values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(expected.gather(1, ids), distances, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="Euclidean"):
        PQIndex(method.quantizer(), small(search="Euclidean").metric)


def test_the_loss_is_the_cross_quantized_one_of_both_views(batch):
    method = small().eval()
    xa, xb = (method.descriptors(v) for v in batch.views)
    expected = cross_quantized_contrastive_loss(xa, method.soft_quantized(xa), xb, method.soft_quantized(xb), 0.5)
    terms = method.loss_terms(batch, 0)
    assert set(terms) == {"contrast"}
    torch.testing.assert_close(terms["contrast"], expected)


def test_no_label_is_used(batch):
    method = small().eval()
    with_labels = Batch(batch.views, torch.eye(3).repeat(3, 1))
    assert not method.uses_labels and method.unlabelled_views == () and method.views == (SIMCLR, SIMCLR)
    assert torch.equal(*(method.loss_terms(b, 0)["contrast"] for b in (batch, with_labels)))


def test_descriptors_codes_and_both_distances(batch):
    squared, plain = small().eval(), small(search="Euclidean").eval()
    x = squared.descriptors(batch.views[0]).detach()
    codes, words = squared.encode(x), squared.codebooks.detach()
    assert x.shape == (9, 20) and codes.shape == (9, 4) and torch.equal(codes, plain.encode(x))
    for method, power in ((squared, 2), (plain, 1)):
        found = method.distances(x[:2], codes).block(0, 2)
        for q in range(2):
            for n in range(9):
                gaps = [(x[q, 5 * m : 5 * m + 5] - words[m, codes[n, m]]).norm() for m in range(4)]
                assert float(found[q, n]) == pytest.approx(float(sum(gap**power for gap in gaps)), rel=1e-4, abs=1e-5)


def test_each_view_has_its_own_batch_statistics(batch):
    """A dark view beside a bright one: joined into one batch, both would be normalised otherwise."""
    views = [batch.views[0], batch.views[1] * 0.1]
    apart, joined = (small().train() for _ in range(2))
    xa, xb = (apart.descriptors(v) for v in views)
    expected = cross_quantized_contrastive_loss(xa, apart.soft_quantized(xa), xb, apart.soft_quantized(xb), 0.5)
    found = small().train().loss_terms(Batch(views, None), 0)["contrast"]
    torch.testing.assert_close(found, expected)
    xa, xb = joined.descriptors(torch.cat(views)).chunk(2)
    wrong = cross_quantized_contrastive_loss(xa, joined.soft_quantized(xa), xb, joined.soft_quantized(xb), 0.5)
    assert not torch.isclose(found, wrong, rtol=1e-3)


def test_the_papers_network_takes_its_first_step():
    method = SPQ(load_backbone("cifar-resnet18"), SPQSettings()).train()
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(4, 3, 32, 32, generator=generator) for _ in range(2)]
    optimizer = torch.optim.Adam(method.parameters(), 3e-4, weight_decay=1e-5)
    before = method.codebooks.detach().clone()
    assert before.shape == (8, 16, 16) and method.head.first.weight.shape == (512, 512)
    method.loss_terms(Batch(views, None), 0)["contrast"].backward()
    optimizer.step()
    assert not torch.equal(before, method.codebooks) and torch.isfinite(method.codebooks).all()


def test_all_parameters_get_a_gradient(batch):
    method = small().train()
    method.loss_terms(batch, 0)["contrast"].backward()
    assert [n for n, p in method.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_it_learns_a_tiny_batch_by_heart():
    """Nine images, seen through noise: the code of a new noisy view is nearest to that of its own image."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(9, 1, 28, 28, generator=generator)

    def view():
        return images + 0.1 * torch.randn(images.shape, generator=generator)

    method = small(dimension=8).train()
    codes_before = method.eval().encode(method.descriptors(images).detach())
    method.train()
    optimizer = torch.optim.Adam(method.parameters(), 1e-2)
    for step in range(100):
        loss = method.loss_terms(Batch([view(), view()], None), step / 100)["contrast"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, again = (method.descriptors(v).detach() for v in (images, view()))
    distances = method.distances(again, method.encode(x)).block(0, 9)
    assert torch.equal(distances.argmin(1), torch.arange(9))
    assert len(method.encode(x).unique(dim=0)) == 9 > len(codes_before.unique(dim=0))


def test_only_the_backbone_computes_in_half_precision(batch):
    method = SPQ(load_backbone("small-resnet", channels=1, width=4, autocast=torch.bfloat16), SPQSettings(bits=16))
    assert method.backbone.feature_map(batch.views[0]).dtype == torch.bfloat16
    assert method.loss_terms(batch, 0)["contrast"].dtype == method.descriptors(batch.views[0]).dtype == torch.float32


def test_a_seed_fixes_the_start():
    first, again, other = (small(seed=s) for s in (0, 0, 1))
    for name in ("codebooks", "head.first.weight", "head.last.weight"):
        a, b, c = (m.state_dict()[name] for m in (first, again, other))
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_saved_and_loaded_is_the_same(batch, tmp_path):
    method, other = small(), small(seed=1)
    save_checkpoint(tmp_path / "spq.safetensors", method, {"bits": 16}, History(torch.arange(3)))
    load_checkpoint(tmp_path / "spq.safetensors", other)
    method.eval(), other.eval()
    x = method.descriptors(batch.views[0]).detach()
    assert torch.equal(x, other.descriptors(batch.views[0])) and torch.equal(method.encode(x), other.encode(x))


@pytest.mark.parametrize(
    "wrong",
    [{"bits": 6}, {"codewords": 3}, {"dimension": 0}, {"hidden": 0}, {"sharpness": 0.0}, {"temperature": -1.0},
     {"search": "inner product"}, {"assignment": "loose"}, {"balance": -0.1}, {"own_view": "sometimes"}],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SPQSettings(**wrong)


def test_the_hard_variant_compares_with_nearest_codewords_and_keeps_the_soft_gradient(batch):
    soft, hard = small().eval(), small(assignment="hard").eval()
    xa, xb = (hard.descriptors(v) for v in batch.views)
    nearest = [hard.quantizer().decode(hard.encode(x.detach())) for x in (xa, xb)]
    expected = cross_quantized_contrastive_loss(xa, nearest[0], xb, nearest[1], 0.5)
    loss = hard.loss_terms(batch, 0)["contrast"]
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (hard.codebooks.grad.abs().sum(2) > 0).all(), "codewords that were not chosen move, too"
    assert not torch.isclose(loss, soft.loss_terms(batch, 0)["contrast"], rtol=1e-3)


def test_with_its_own_view_the_four_contrasts_weigh_alike(batch):
    method, only = small(own_view="too").eval(), small(own_view="only").eval()
    xa, xb = (method.descriptors(v) for v in batch.views)
    za, zb = method.soft_quantized(xa), method.soft_quantized(xb)
    pairs = (xa, zb), (xb, za), (xa, za), (xb, zb)
    contrasts = [contrastive_loss(x, z, 0.5) for x, z in pairs]
    torch.testing.assert_close(method.loss_terms(batch, 0)["contrast"], sum(contrasts) / 2)
    torch.testing.assert_close(only.loss_terms(batch, 0)["contrast"], sum(contrasts[2:]))


def test_plain_contrast_leaves_the_codebooks_alone(batch):
    method = small(assignment="none").train()
    loss = method.loss_terms(batch, 0)["contrast"]
    loss.backward()
    assert method.codebooks.grad is None and method.head.last.weight.grad.abs().sum() > 0
    again = small(assignment="none").train()
    xa, xb = (again.descriptors(v) for v in batch.views)
    torch.testing.assert_close(loss, 2 * contrastive_loss(xa, xb, 0.5))


def test_balance_adds_a_term_and_its_gradient_evens_the_use(batch):
    plain, method = small().eval(), small(balance=0.5).eval()
    terms = method.loss_terms(batch, 0)
    torch.testing.assert_close(terms["contrast"], plain.loss_terms(batch, 0)["contrast"])
    weights = torch.cat([method.soft_weights(method.descriptors(v)) for v in batch.views])
    hard = torch.nn.functional.one_hot(weights.argmax(2), weights.shape[2]).float()
    torch.testing.assert_close(terms["balance"], 0.5 * uneven_use_loss(hard))
    before = float(terms["balance"].detach())
    terms["balance"].backward()
    with torch.no_grad():
        method.codebooks -= 0.1 * method.codebooks.grad
    assert method.codebooks.grad.isfinite().all()
    assert float(method.loss_terms(batch, 0)["balance"].detach()) < before


def test_plain_contrast_has_nothing_to_balance():
    with pytest.raises(ValueError, match="quantizes nothing"):
        SPQSettings(assignment="none", balance=0.1)
