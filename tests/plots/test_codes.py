"""Codes made visible: right bits at right places, balance and correlation as defined."""

import numpy as np
import pytest
import torch
from figure_checks import smallest_text_on_a_phone, texts

from retrieval_lib.plots import bit_balance, bit_correlation, bit_statistics, code_strips, usage_map


@pytest.fixture
def codes():
    return torch.rand(50, 12, generator=torch.Generator().manual_seed(0)) < 0.4


def test_strips_show_the_bits(codes):
    pictures = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    figure = code_strips(pictures, codes[:3], ["one", "two", "three"])
    strips = figure.axes[1::2]
    for row, strip in enumerate(strips):
        assert np.array_equal(strip.collections[0].get_array().ravel(), codes[row].float().numpy())
    assert {"one", "two", "three"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_balance_and_correlation_are_those_of_numpy(codes):
    torch.testing.assert_close(bit_balance(codes), codes.float().mean(0))
    expected = torch.from_numpy(np.corrcoef(codes.T.numpy())).float()
    torch.testing.assert_close(bit_correlation(codes), expected, atol=1e-5, rtol=0)


def test_a_bit_that_never_changes_is_correlated_with_none(codes):
    codes[:, 3] = True
    correlation = bit_correlation(codes)
    assert not correlation.isnan().any() and (correlation[3] == 0).all()


def test_statistics_show_both(codes):
    left, right = bit_statistics(codes, "of nothing").axes[:2]
    assert [bar.get_height() for bar in left.patches] == pytest.approx(codes.float().mean(0).tolist())
    drawn = np.ma.filled(right.images[0].get_array(), np.nan)
    assert np.isnan(np.diag(drawn)).all() and np.nanmax(drawn) < 1
    assert smallest_text_on_a_phone(bit_statistics(codes)) >= 8


def test_usage_map_sorts_codewords_marks_dead_ones_and_tells_perplexity():
    usage = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 0.5, 0.0, 0.5]])
    figure = usage_map(usage)
    axis = figure.axes[0]
    assert np.asarray(axis.images[0].get_array()).tolist() == [[1, 1, 1, 1], [2, 2, 0, 0]]
    assert sorted((int(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in axis.lines) == [(2, 1), (3, 1)]
    assert {"4.0", "2.0"} <= set(texts(figure)) and smallest_text_on_a_phone(figure) >= 8


def test_what_does_not_belong_together_is_refused(codes):
    with pytest.raises(ValueError, match="do not belong together"):
        code_strips(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), codes[:3])
    for draw in (bit_statistics, bit_balance, bit_correlation):
        with pytest.raises(ValueError, match=r"expected bool \(N, bits\)"):
            draw(codes.float())
        with pytest.raises(ValueError, match="There is 1 code"):
            draw(codes[:1])
    with pytest.raises(ValueError, match=r"expected bool \(N, bits\)"):
        code_strips(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), codes[:3].float())
    with pytest.raises(ValueError, match="whose rows sum to 1"):
        usage_map(torch.ones(2, 4))
