"""Which database images are relevant to which queries."""

import torch
from torch import Tensor

IMAGES_AT_ONCE = 65_536


class Relevance:
    """An image is relevant to a query if they share a label.

    Args:
        query_labels: (Q,) integers, or (Q, L) bool where an image may have several labels.
        database_labels: (N,) or (N, L), of the same kind.

    Raises:
        ValueError: the two are of different kinds, or the database is empty.

    >>> Relevance(torch.tensor([1]), torch.tensor([0, 1, 1])).block(0, 1)
    tensor([[False,  True,  True]])
    >>> Relevance(torch.tensor([[True, True]]), torch.tensor([[True, False], [False, False]])).block(0, 1)
    tensor([[ True, False]])
    """

    def __init__(self, query_labels: Tensor, database_labels: Tensor):
        kinds = {_kind(query_labels), _kind(database_labels)}
        if len(kinds) != 1 or kinds == {None}:
            raise ValueError(
                f"query_labels are {query_labels.dtype} {tuple(query_labels.shape)} and database_labels "
                f"{database_labels.dtype} {tuple(database_labels.shape)}; both must be (n,) class numbers (integers) "
                "or (n, L) bool."
            )
        if query_labels.ndim == 2 and query_labels.shape[1] != database_labels.shape[1]:
            raise ValueError(
                f"Queries have {query_labels.shape[1]} labels and the database {database_labels.shape[1]}; "
                "the columns must mean the same."
            )
        if len(database_labels) == 0:
            raise ValueError("The database is empty; there is nothing to search.")
        self.query_labels, self.database_labels = query_labels, database_labels
        self.shape = (len(query_labels), len(database_labels))

    def block(self, start: int, stop: int) -> Tensor:
        """(stop - start, N) bool."""
        some = self.query_labels[start:stop]
        if some.ndim == 1:
            return some.unsqueeze(1) == self.database_labels
        parts = self.database_labels.split(IMAGES_AT_ONCE)  # as floats they take four times their memory
        return torch.cat([some.float() @ part.float().T > 0 for part in parts], 1)


def _kind(labels: Tensor) -> str | None:
    whole = not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool
    if labels.ndim == 1 and whole:
        return "classes"
    return "several labels" if labels.ndim == 2 and labels.dtype == torch.bool else None
