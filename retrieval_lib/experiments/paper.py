"""What the papers' settings have in common: train, keep the weights, and judge the test queries."""

from collections.abc import Mapping
from pathlib import Path

from retrieval_lib.data import ImageSet, Split
from retrieval_lib.evaluation import Relevance
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.methods.base import Method, describe
from retrieval_lib.training import TrainingSettings, save_checkpoint, train


def train_and_judge(
    method: Method,
    images: ImageSet,
    split: Split,
    training: TrainingSettings,
    weights: Path,
    about: Mapping,
    *,
    initial: str,
    k: int | None,
) -> list[Value]:
    """Train a method, write its weights, and judge the test queries. Interrupted, the same call goes on.

    Args:
        method: on the device that it is trained on.
        images, split: as `retrieval_lib.data.load_lists` gives them.
        training: how long and how fast.
        weights: the file to write; the state of an unfinished run is kept beside it.
        about: the method's settings, kept with the weights.
        initial: what the weights are before, in words.
        k: length of the judged ranking; None for all of it.

    Raises:
        ValueError, OSError: as `train` and `save_checkpoint`.
    """
    history = train(method, images, split, training, state_path=weights.with_suffix(".state"), initial=initial)
    save_checkpoint(weights, method, about, history)
    search = split.searches["test"]
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    return judge(method.distances(query, method.encode(database)), relevance, k=k)
