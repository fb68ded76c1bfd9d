"""Which codewords are used, and how evenly."""

import torch
from torch import Tensor

from retrieval_lib.quantization.codes import check_codes


def codeword_usage(codes: Tensor, codewords: int) -> Tensor:
    """The share of images that each codeword stands for.

    Args:
        codes: (N, M) integers.
        codewords: K, how many each codebook has.

    Returns:
        (M, K) float32; each row sums to 1.

    Raises:
        ValueError: there are no codes, they have another shape or type, or name a codeword that is not there.

    >>> codeword_usage(torch.tensor([[0, 1], [0, 0]]), 2)
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    check_codes(codes, codewords)
    if not len(codes):
        raise ValueError("There are no codes; nothing can be counted.")
    counts = torch.stack([torch.bincount(column, minlength=codewords) for column in codes.long().unbind(1)])
    return counts / len(codes)


def perplexity(usage: Tensor) -> Tensor:
    """How many codewords are used in effect: the exponential of the entropy of each codebook's usage.

    K where all are used alike, 1 where one is used alone.

    Args:
        usage: (M, K) shares, as `codeword_usage` gives them.

    Returns:
        (M,) float32.

    >>> perplexity(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    tensor([2., 1.])
    """
    return torch.special.entr(usage).sum(-1).exp()


def dead_codewords(usage: Tensor) -> Tensor:
    """How many codewords of each codebook stand for no image: (M, K) shares to (M,) int64."""
    return (usage == 0).sum(-1)
