"""Usage, perplexity and dead codewords, on codes that can be counted by hand."""

import pytest
import torch

from retrieval_lib.quantization import codeword_usage, dead_codewords, perplexity


def test_shares_are_counted():
    codes = torch.tensor([[0, 3], [0, 3], [2, 3], [1, 3]])
    usage = codeword_usage(codes, 4)
    assert usage.tolist() == [[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]]
    assert dead_codewords(usage).tolist() == [1, 3]
    torch.testing.assert_close(perplexity(usage), torch.tensor([2**1.5, 1.0]))


def test_even_use_has_the_perplexity_of_all_codewords():
    usage = codeword_usage(torch.arange(16).unsqueeze(1).expand(16, 2), 16)
    torch.testing.assert_close(perplexity(usage), torch.full((2,), 16.0))


def test_without_codes_nothing_is_counted():
    with pytest.raises(ValueError, match="There are no codes"):
        codeword_usage(torch.zeros(0, 2).long(), 4)
