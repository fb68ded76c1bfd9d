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


@pytest.mark.parametrize(
    "codes", [torch.zeros(0, 2).long(), torch.zeros(3, 2), torch.tensor([[0, 4]]), torch.tensor([[-1, 0]])]
)
def test_what_is_no_code_is_refused(codes):
    with pytest.raises(ValueError, match="codes"):
        codeword_usage(codes, 4)
