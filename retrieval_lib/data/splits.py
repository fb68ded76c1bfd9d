"""Which images are queries, which are searched, which may be learned from: a split, and the checks it must pass."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.data.images import ImageSet


@dataclass(frozen=True)
class Search:
    """Queries and the database that they search: (Q,) and (N,) int64 positions in an `ImageSet`."""

    query: Tensor
    database: Tensor


@dataclass(frozen=True)
class Split:
    """A protocol, drawn for one data set under one seed.

    Attributes:
        protocol: its name.
        seed: of the draw.
        hash: SHA-256 over protocol, seed, source, content of the images and all positions.
        train: (n,) int64 positions of the images whose labels may be learned from.
        unlabelled: (u,) positions of the images that may be learned from without their labels; empty where the
            protocol has none. `ImageSet.without_labels` gives them.
        searches: by name. `test` is the reported one; `validation` is for choosing settings; `untrained` or `unseen`
            searches a database of which nothing was trained on.
    """

    protocol: str
    seed: int
    hash: str
    train: Tensor
    unlabelled: Tensor
    searches: Mapping[str, Search]


def finish_split(
    images: ImageSet, protocol: str, seed: int, train: Tensor, unlabelled: Tensor, searches: dict[str, Search]
) -> Split:
    """Check that what must be disjoint is disjoint, and hash the split.

    Raises:
        ValueError: a query stands in the database that it searches; a query, or an image of the `untrained` or
            `unseen` search, is trained on; or a search has no query or no database.
    """
    for name, search in searches.items():
        if not len(search.query) or not len(search.database):
            raise ValueError(f"{protocol}: the search {name} has no query or no database; the data set is too small.")
        _disjoint(protocol, f"the queries and the database of {name}", search.query, search.database)
        _disjoint(protocol, f"the queries of {name} and the training images", search.query, train)
        _disjoint(protocol, f"the queries of {name} and the unlabelled images", search.query, unlabelled)
        if name in ("untrained", "unseen"):
            _disjoint(protocol, f"the database of {name} and the training images", search.database, train)
            _disjoint(protocol, f"the database of {name} and the unlabelled images", search.database, unlabelled)
    _disjoint(protocol, "the labelled and the unlabelled training images", train, unlabelled)
    digest = hashlib.sha256(
        json.dumps([protocol, seed, images.name, images.source, images.content_hash, sorted(searches)]).encode()
    )
    for name in sorted(searches):
        for positions in (searches[name].query, searches[name].database):
            digest.update(positions.numpy().tobytes())
    for positions in (train, unlabelled):
        digest.update(positions.numpy().tobytes())
    return Split(protocol, seed, digest.hexdigest(), train, unlabelled, searches)


def _disjoint(protocol: str, what: str, first: Tensor, second: Tensor) -> None:
    shared = int(torch.isin(first, second).sum())
    if shared:
        raise ValueError(f"{protocol}: {what} share {shared} images; they must share none.")
