"""Which database images are relevant to which queries."""

from torch import Tensor


class Relevance:
    """An image is relevant to a query if they share a label.

    Args:
        query_labels: (Q,) integers, or (Q, L) bool where an image may have several labels.
        database_labels: (N,) or (N, L), of the same kind.

    Raises:
        ValueError: the two are of different kinds, or the database is empty.
    """

    def __init__(self, query_labels: Tensor, database_labels: Tensor):
        if query_labels.ndim != database_labels.ndim or query_labels.ndim not in (1, 2):
            raise ValueError(
                f"query_labels has shape {tuple(query_labels.shape)} and database_labels "
                f"{tuple(database_labels.shape)}; both must be (n,) class numbers or (n, L) bool."
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
        return (some.float() @ self.database_labels.float().T) > 0
