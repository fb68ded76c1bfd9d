"""The two similarity terms of similarity guided hashing (SGH): Jang and Cho, arXiv 2107.05025, 2021. A reconstruction.

Public are the abstract and a summary, no equation. The abstract says that SGH "gently considers self and
pairwise-similarity simultaneously"; how, is written here by us. The identity and the quantization term are
`hash_proxy_loss` and `bce_quantization_loss` of the authors' later DHD.
"""

from collections.abc import Sequence
from itertools import combinations, permutations

import torch.nn.functional as F
from torch import Tensor

from retrieval_lib.methods.targets import labelled


def self_similarity_loss(codes: Sequence[Tensor]) -> Tensor:
    """Mean over the pairs of views of 1 - cos between the codes of the same image; both views are moved.

    Answers "self[-similarity]" and "employs various data augmentations designed to explore elaborate similarities
    between face images". That it is a cosine, and that no view is held still, is our choice.

    Args:
        codes: V >= 2 views of the same images, each (B, bits) relaxed codes.

    Raises:
        ValueError: there are fewer than two views.
    """
    if len(codes) < 2:
        raise ValueError(f"Self-similarity compares views of an image; there is {len(codes)}, give at least 2.")
    pairs = [(1 - F.cosine_similarity(first, second, dim=1)).mean() for first, second in combinations(codes, 2)]
    return sum(pairs) / len(pairs)


def pairwise_similarity_loss(codes: Sequence[Tensor], targets: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between "who is the same person" and "whose code is near", across views.

    For each ordered pair of views: row i of the cosines between all images, as a softmax, should be spread evenly over
    the images that share a label with i. Answers "pairwise-similarity" and "solving both intra and inter identity-wise
    difficulties": images of one person attract each other whatever their pose or lighting, look-alikes of other people
    repel each other. That targets are soft and shared is how we read "gently".

    Args:
        codes: V >= 2 views of the same images, each (B, bits) relaxed codes.
        targets: (B, classes), one-hot or multi-hot.
        temperature: tau, a positive number.

    Raises:
        ValueError: there are fewer than two views, `targets` has another shape, or a row of it names no class.

    >>> import torch
    >>> code = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # two people at cosine 0, each with two equal views
    >>> float(pairwise_similarity_loss([code, code], torch.eye(2), 0.5))  # log(1 + exp(-2))
    0.126928...
    """
    if len(codes) < 2:
        raise ValueError(f"Pairs are compared across views; there is {len(codes)}, give at least 2.")
    targets = labelled(targets, codes[0].dtype, len(codes[0]))
    same = (targets @ targets.T > 0).to(targets.dtype)  # (B, B)
    wanted = same / same.sum(1, keepdim=True)  # S: rows sum to 1
    unit = [F.normalize(view, dim=1) for view in codes]
    terms = [
        -(wanted * F.log_softmax(first @ second.T / temperature, dim=1)).sum(1).mean()
        for first, second in permutations(unit, 2)
    ]
    return sum(terms) / len(terms)
