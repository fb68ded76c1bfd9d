"""What the papers' settings have in common: train, keep the weights, and judge the test queries."""

from collections.abc import Mapping
from pathlib import Path

from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.judging import judge_method
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.base import Method
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
    """Train a method, write its weights, and judge the test queries. Interrupted, also while it judges, the same call
    goes on.

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
    state = weights.with_suffix(".state")
    history = train(method, images, split, training, state_path=state, initial=initial)
    save_checkpoint(weights, method, about, history)
    values = judge_method(method, images, split.searches["test"], "test", k=k)
    state.unlink(missing_ok=True)
    return values
