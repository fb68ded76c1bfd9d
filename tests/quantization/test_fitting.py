"""PQ and OPQ: what they must find, that a seed fixes them, and what they refuse."""

import pytest
import torch

from retrieval_lib.quantization import codeword_usage, fit_opq, fit_pq

FITS = [fit_pq, fit_opq]


@pytest.fixture
def correlated():
    """Descriptors whose variance lies in few directions across the parts: what a rotation helps with."""
    generator = torch.Generator().manual_seed(0)
    scales = 0.6 ** torch.arange(16)
    turn = torch.linalg.qr(torch.randn(16, 16, generator=generator)).Q
    return (torch.randn(1000, 16, generator=generator) * scales) @ turn


def test_clusters_are_found_exactly():
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[-10.0, 4.0], [10.0, -4.0]])
    which = torch.randint(0, 2, (800, 3), generator=generator)
    quantizer = fit_pq(corners[which].flatten(1), 3, 2)
    for book in quantizer.codebooks:
        assert sorted(book.tolist()) == sorted(corners.tolist())
    assert quantizer.error(corners[which].flatten(1)) == 0


def test_more_codewords_and_a_rotation_lower_the_error(correlated):
    plain = [fit_pq(correlated, 4, k).error(correlated) for k in (4, 16, 64)]
    assert plain[0] > plain[1] > plain[2]
    assert fit_opq(correlated, 4, 16).error(correlated) < 0.9 * plain[1]


def test_the_rotation_of_opq_is_one(correlated):
    rotation = fit_opq(correlated, 4, 16).rotation
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16), atol=1e-5, rtol=0)


def test_the_rotation_is_learned_not_drawn_and_more_turns_lower_its_error(correlated):
    """A random rotation helps as well, so a rotation that was taken out wrongly would pass the test above."""
    drawn = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        turned = correlated @ torch.linalg.qr(torch.randn(16, 16, generator=generator)).Q
        drawn.append(fit_pq(turned, 4, 16).error(turned))
    learned = [fit_opq(correlated, 4, 16, iterations=turns).error(correlated) for turns in (1, 5, 20)]
    assert learned[0] > learned[1] > learned[2] and learned[2] < 0.5 * min(drawn)


@pytest.mark.parametrize("fit", FITS)
def test_a_seed_fixes_the_result_and_another_changes_it(fit, correlated):
    first, again, other = (fit(correlated, 4, 16, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.codebooks, again.codebooks) and not torch.equal(first.codebooks, other.codebooks)


@pytest.mark.parametrize("fit", FITS)
def test_fitting_is_quiet_and_changes_no_input(fit, correlated, capfd):
    before = correlated.clone()
    usage = codeword_usage(fit(correlated[:70], 4, 64).encode(correlated), 64)
    assert usage.shape == (4, 64) and torch.equal(before, correlated)
    told = capfd.readouterr()
    assert told.out == told.err == ""


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"codebooks": 3}, "codebooks=3: descriptors of 16 numbers"),
        ({"codebooks": 0}, "codebooks=0"),
        ({"codewords": 10}, "codewords=10: give a power of two"),
        ({"codewords": 1}, "codewords=1"),
        ({"seed": -1}, "seed=-1"),
        ({"codewords": 2048}, "1000 descriptors are too few for 2048"),
        ({"descriptors": torch.zeros(50, 16).long()}, "int64"),
        ({"descriptors": torch.zeros(50, 16).double()}, r"float64 of shape .* call \.float\(\)"),
        ({"descriptors": torch.zeros(50, 16).half()}, r"float16 of shape .* call \.float\(\)"),
        ({"descriptors": torch.full((50, 16), torch.inf)}, "NaN or infinite"),
    ],
)
def test_wrong_input_is_named(fit, correlated, change, told):
    with pytest.raises(ValueError, match=told):
        fit(**{"descriptors": correlated, "codebooks": 4, "codewords": 16} | change)


def test_opq_needs_a_turn(correlated):
    with pytest.raises(ValueError, match="iterations=0"):
        fit_opq(correlated, 4, 16, iterations=0)
