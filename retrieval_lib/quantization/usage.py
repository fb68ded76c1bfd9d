"""Which codewords are used, and how evenly."""

import torch
from torch import Tensor


def codeword_usage(codes: Tensor, codewords: int) -> Tensor:
    """The share of images that each codeword stands for.

    Args:
        codes: (N, M) integers.
        codewords: K, how many each codebook has.

    Returns:
        (M, K) float32; each row sums to 1.

    Raises:
        ValueError: there are no codes, or a code names a codeword that is not there.

    >>> codeword_usage(torch.tensor([[0, 1], [0, 0]]), 2)
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    if codes.ndim != 2 or not len(codes) or codes.is_floating_point():
        raise ValueError(f"codes are {codes.dtype} of shape {tuple(codes.shape)}; expected integers (N, M), N > 0.")
    if not 0 <= int(codes.min()) <= int(codes.max()) < codewords:
        raise ValueError(f"codes go from {int(codes.min())} to {int(codes.max())}; expected 0 to {codewords - 1}.")
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
