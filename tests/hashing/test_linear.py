"""LSH, PCA hashing and ITQ: geometry, determinism, and the variants that are easily got wrong."""

import math

import pytest
import torch
from sklearn.decomposition import PCA

from retrieval_lib.hashing import fit_itq, fit_lsh, fit_pca


@pytest.fixture
def descriptors():
    generator = torch.Generator().manual_seed(0)
    scales = torch.linspace(5, 0.2, 24)
    mixing = torch.linalg.qr(torch.randn(24, 24, generator=generator)).Q
    return torch.randn(600, 24, generator=generator) * scales @ mixing + 3


def test_lsh_estimates_the_angle():
    angle = 0.7
    pair = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    hashing = fit_lsh(torch.cat([pair, -pair]), 20_000)  # the mean is zero
    first, second = hashing.encode(pair)
    share = float((first != second).float().mean())
    p = angle / math.pi
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / 20_000)


def test_lsh_is_seeded_and_nested(descriptors):
    assert torch.equal(fit_lsh(descriptors, 16, 3).directions, fit_lsh(descriptors, 64, 3).directions[:, :16])
    assert not torch.equal(fit_lsh(descriptors, 16, 3).directions, fit_lsh(descriptors, 16, 4).directions)


def test_pca_directions_are_those_of_scikit_learn(descriptors):
    ours = fit_pca(descriptors, 6).directions
    theirs = torch.from_numpy(PCA(6).fit(descriptors.numpy()).components_).T
    assert torch.allclose((ours * theirs).sum(0).abs(), torch.ones(6), atol=1e-4)
    assert (ours.gather(0, ours.abs().argmax(0, keepdim=True)) > 0).all()


def test_codes_are_centred(descriptors):
    share = fit_pca(descriptors, 8).encode(descriptors).float().mean(0)
    assert ((share - 0.5).abs() < 0.1).all()


def test_itq_lowers_its_error_by_rotating_only(descriptors):
    itq, pca = fit_itq(descriptors, 8, iterations=30), fit_pca(descriptors, 8)
    assert all(later <= earlier + 1e-6 for earlier, later in zip(itq.errors, itq.errors[1:], strict=False))
    assert itq.errors[-1] < itq.errors[0] - 0.1
    unrotated = pca.project(descriptors)
    assert itq.errors[-1] < float(((torch.where(unrotated >= 0, 1.0, -1.0) - unrotated) ** 2).mean())
    assert torch.allclose(itq.directions.T @ itq.directions, torch.eye(8), atol=1e-4)
    inside = pca.directions @ (pca.directions.T @ itq.directions)
    assert torch.allclose(inside, itq.directions, atol=1e-4)  # the space that PCA found


def test_itq_turn_is_the_best_rotation_for_its_codes(descriptors):
    values = fit_pca(descriptors, 5).project(descriptors)
    codes = torch.where(values >= 0, 1.0, -1.0)
    left, _, right = torch.linalg.svd(codes.T @ values)

    def error(rotation):
        return float(((codes - values @ rotation) ** 2).sum())

    best = error(right.T @ left.T)
    assert best < error(left @ right) - 1e-3  # the transposed rotation, a known slip
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        assert best <= error(torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q) + 1e-3


def test_itq_is_seeded(descriptors):
    assert torch.equal(fit_itq(descriptors, 8, 1).directions, fit_itq(descriptors, 8, 1).directions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (x[:1], 4), "at least 2 rows"),
        (lambda x: (x, 0), "bits=0"),
        (lambda x: (x, 25), "from 1 to the descriptors' 24"),
        (lambda x: (x.long(), 4), r"int64.*expected float32.*call \.float\(\)"),
        (lambda x: (x / 0, 4), "NaN or infinite"),
    ],
)
def test_bad_input_is_named(descriptors, change, message):
    with pytest.raises(ValueError, match=message):
        fit_pca(*change(descriptors))


@pytest.mark.parametrize("fit", [fit_lsh, fit_pca, fit_itq])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_hash_is_fitted_on_float32_alone(descriptors, fit, dtype):
    with pytest.raises(ValueError, match=rf"{dtype} of shape .* call \.float\(\)"):
        fit(descriptors.to(dtype), 8)
    hashing = fit(descriptors, 8)
    with pytest.raises(
        ValueError, match=r"descriptors is torch\.float64; this hash is torch\.float32: call \.float\(\)"
    ):
        hashing.encode(descriptors.double())
    halves = descriptors.half()  # as features are stored; all their digits are kept
    assert torch.equal(hashing.encode(halves), hashing.encode(halves.float()))


def test_descriptors_of_another_width_are_refused(descriptors):
    with pytest.raises(ValueError, match=r"fitted on \(N, 24\)"):
        fit_lsh(descriptors, 8).encode(descriptors[:, :5])
