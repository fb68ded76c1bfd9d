"""Whole numbers everywhere, so that distances are exact, and many are tied."""

import pytest
import torch

from retrieval_lib.quantization import ProductQuantizer


def whole_numbers(*shape, generator, most=3):
    return torch.randint(-most, most + 1, shape, generator=generator).float()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rotated(generator):
    """Codebooks behind a rotation that only swaps and turns signs, which keeps whole numbers whole."""
    swap = torch.eye(8)[torch.randperm(8, generator=generator)]
    swap[::3] *= -1
    return ProductQuantizer(whole_numbers(4, 16, 2, generator=generator), swap)


def agree_with_brute_force(distances, ids, reference):
    """Sorted distances are identical; each returned image is at its distance; none is given twice."""
    k = distances.shape[1]
    assert torch.equal(distances.to(reference.dtype), reference.sort(dim=1).values[:, :k])
    assert torch.equal(reference.gather(1, ids), distances.to(reference.dtype))
    assert all(len(set(row.tolist())) == k for row in ids)
