"""All that a run needs to go on exactly where it stopped."""

import hashlib
import json
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from retrieval_lib.methods.base import Method
from retrieval_lib.training.checkpoints import read_tensors, write_tensors
from retrieval_lib.training.history import History, Snapshot
from retrieval_lib.training.settings import TrainingSettings

KIND = "state"
HOLDS = {
    "step": int, "run": dict, "history": dict, "pending": dict, "seconds": float, "scaler": dict,
    "snapshot_steps": list,
}  # fmt: skip


def save_state(
    path: Path,
    step: int,
    module: nn.Module,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    history: History,
    run: dict,
    pending: dict,
    seconds: float,
) -> None:
    """Write weights, the optimizer's memory and the history after `step` updates.

    Args:
        path: of the file.
        step: how many updates are done.
        module, optimizer, scaler, history: of the run.
        run: what the run is, see `run_identity`.
        pending: sums of the loss terms since the history's last entry.
        seconds: spent on the run so far.
    """
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    state = optimizer.state_dict()
    for index, values in state["state"].items():
        for name, value in values.items():
            if torch.is_tensor(value):
                tensors[f"optimizer.{index}.{name}"] = value
    for number, snapshot in enumerate(history.snapshots):
        tensors |= {f"snapshot.{number}.{name}": tensor for name, tensor in snapshot.tensors().items()}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    told = {
        "step": step, "run": run, "history": history.numbers(), "pending": pending, "seconds": seconds,
        "scaler": scaler.state_dict(), "snapshot_steps": [snapshot.step for snapshot in history.snapshots],
    }  # fmt: skip
    write_tensors(path, tensors, told, KIND)


def load_state(
    path: Path,
    module: nn.Module,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    history: History,
    run: dict,
) -> tuple[int, dict, float]:
    """Put everything back; returns how many updates were done, the pending sums, and the seconds spent.

    Raises:
        ValueError: the file is damaged, or it is of another run.
    """
    tensors, told = read_tensors(path, KIND, HOLDS)
    if told["run"] != run:
        other = [key for key in run if told["run"].get(key) != run[key]]
        raise ValueError(
            f"{path} is the state of another run: it differs in {', '.join(other) or 'what it is'}. Continue with the "
            "settings that it was started with, or remove the file to start anew."
        )
    own = {name: tensor for name, tensor in tensors.items() if name.startswith("module.")}
    module.load_state_dict({name.removeprefix("module."): tensor for name, tensor in own.items()})
    state = optimizer.state_dict()
    memory: dict[int, dict] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            memory.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": memory, "param_groups": state["param_groups"]})
    if scaler.is_enabled():
        scaler.load_state_dict(told["scaler"])
    for key, value in told["history"].items():
        setattr(history, key, value)
    history.snapshots = [_snapshot(step, number, tensors) for number, step in enumerate(told["snapshot_steps"])]
    return told["step"], told["pending"], told["seconds"]


def seconds_spent(path: Path) -> float:
    """How long the run of a state was trained, all its sittings together; 0 where there is no file.

    Raises:
        ValueError: the file is damaged, or holds no state.
    """
    return read_tensors(path, KIND, HOLDS)[1]["seconds"] if path.is_file() else 0.0


def _snapshot(step: int, number: int, tensors: dict[str, Tensor]) -> Snapshot:
    prefix = f"snapshot.{number}."
    return Snapshot(step, **{n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})


def run_identity(method: Method, settings: TrainingSettings, split_hash: str, points: Tensor, initial: str) -> dict:
    """What must be the same for a state to belong to a run (JSON-able); its names are those of the message.

    Args:
        method: what is trained.
        settings: of the training.
        split_hash: of what it learns from.
        points: (n,) positions of the images that the snapshots show.
        initial: what its weights are, in words.
    """
    own = getattr(method, "settings", None)  # a loss weight changes no shape, and the run all the same
    backbone = method.backbone  # nor does a stride
    told = {
        "settings": asdict(settings),
        "method": {"name": type(method).__name__, "settings": asdict(own) if is_dataclass(own) else repr(own)},
        "backbone": {
            "name": type(backbone).__name__, "autocast": str(backbone.autocast),
            **{name: getattr(backbone, name) for name in backbone.geometry},
        },
        "split": split_hash,
        "points": hashlib.sha256(repr(points.tolist()).encode()).hexdigest(),
        "start": initial,
        "weights": {name: list(tensor.shape) for name, tensor in method.state_dict().items()},
    }  # fmt: skip
    return json.loads(json.dumps(told))  # as it will be read again: tuples become lists
