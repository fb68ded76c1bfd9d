"""One training loop for every method: named loss terms, validation, history, exact resume, checkpoints."""

from retrieval_lib.training.batches import epoch_of, step_batch
from retrieval_lib.training.checkpoints import load_checkpoint, read_history, save_checkpoint
from retrieval_lib.training.history import History, Snapshot
from retrieval_lib.training.loop import TrainingDiverged, snapshot, train
from retrieval_lib.training.settings import TrainingSettings, learning_rate
from retrieval_lib.training.validation import validation_score

__all__ = [
    "History",
    "Snapshot",
    "TrainingDiverged",
    "TrainingSettings",
    "epoch_of",
    "learning_rate",
    "load_checkpoint",
    "read_history",
    "save_checkpoint",
    "snapshot",
    "step_batch",
    "train",
    "validation_score",
]
