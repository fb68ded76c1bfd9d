"""What a product code is: the number of a codeword for each codebook."""

import torch
from torch import Tensor


def check_codes(codes: Tensor, codewords: int, books: int | None = None) -> None:
    """Refuse what is no product code.

    Args:
        codes: (N, M).
        codewords: K, how many each codebook has.
        books: M; None to take any number of codebooks.

    Raises:
        ValueError: the codes are no integers (N, M), or one of them is not from 0 to K - 1.
    """
    integers = not (codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool)
    if codes.ndim == 2 and integers and books in (None, codes.shape[1]):
        least, most = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
        if 0 <= least <= most < codewords:
            return
        found = f"go from {least} to {most}"
    else:
        found = f"are {codes.dtype} of shape {tuple(codes.shape)}"
    columns = "M" if books is None else books
    raise ValueError(f"codes {found}; expected integers (N, {columns}) from 0 to {codewords - 1}.")
