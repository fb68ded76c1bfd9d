"""Weights on disk: a safetensors file, with settings and history in its header. Loading it runs no code."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from retrieval_lib.files import write_whole
from retrieval_lib.training.history import History

FORMAT = 1
KIND = "checkpoint"
HOLDS = {"settings": dict, "history": dict}


def save_checkpoint(
    path, module: nn.Module, settings: Mapping, history: History, dtype: torch.dtype | None = None
) -> None:
    """Write all weights with their settings and history.

    Args:
        path: of the file, which ends in .safetensors.
        module: whose weights are kept.
        settings: what is needed to build the module again; JSON-able.
        history: of its training; its snapshots are left out.
        dtype: of the floating-point weights in the file, to halve its size; None keeps theirs.

    Raises:
        OSError: the file cannot be written; an older one is then as it was.
        TypeError: the settings cannot be written as JSON.
        ValueError: a weight is NaN or infinite, or too large for `dtype`.
    """
    tensors = {}
    for name, tensor in module.state_dict().items():
        smaller = dtype is not None and tensor.is_floating_point()
        kept = tensors[name] = (tensor.to(dtype) if smaller else tensor).detach().cpu().contiguous()
        if not torch.isfinite(kept).all():
            raise ValueError(
                f"{name} holds NaN or infinite values as {kept.dtype}; its largest value is "
                f"{float(tensor.abs().max()):.3g}. Keep the weights as they are (dtype=None), or train anew."
            )
    told = {"settings": dict(settings), "history": history.numbers()}
    write_tensors(Path(path), tensors, told, KIND)


def load_checkpoint(path, module: nn.Module) -> dict:
    """Put the weights of a file into a module that was built alike.

    Args:
        path: of the file.
        module: gets the weights, in its own types.

    Returns:
        `settings` and `history`, the numbers that were saved.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, is damaged, or has other weights than the module; the message names them.
    """
    tensors, told = read_tensors(Path(path), KIND, HOLDS)
    wanted = module.state_dict()
    missing, unknown = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing or unknown:
        raise ValueError(
            f"{path} does not fit: it lacks {', '.join(missing[:3]) or 'nothing'}, and has "
            f"{', '.join(unknown[:3]) or 'nothing'} too many. Build the module with the settings in the file: "
            f"{_in_short(told['settings'])}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but the module has {tuple(wanted[name].shape)}. "
                f"Build the module with the settings in the file: {_in_short(told['settings'])}"
            )
        if not torch.isfinite(tensor.float()).all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values; take the file from its source again.")
    module.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()})
    return {"settings": told["settings"], "history": told["history"]}


def _in_short(settings: Mapping) -> dict:
    """Without what a run kept beside its settings and fills a page, such as the use of its codewords."""
    return {name: value for name, value in settings.items() if len(str(value)) < 500}


def read_history(path) -> tuple[History, dict]:
    """The story of a kept run and its settings, without its weights and its snapshots.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or is damaged.
    """
    _, told = read_tensors(Path(path), KIND, HOLDS)
    history = History(torch.empty(0, dtype=torch.int64))
    if unknown := sorted(set(told["history"]) - set(history.numbers())):
        raise ValueError(f"{path} is no checkpoint of this library (its history tells of {', '.join(unknown)}).")
    return replace(history, **told["history"]), told["settings"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], told: Mapping, kind: str) -> None:
    """A safetensors file with a JSON text in its header, whole or not at all; `kind` says what it is a file of."""
    text = json.dumps({"format": FORMAT, "kind": kind, **told})
    with write_whole(path) as partial:
        try:
            save_file(dict(tensors), partial, {"about": text})
        except SafetensorError as error:
            raise OSError(f"{path} could not be written: {error}") from error


def read_tensors(path: Path, kind: str, holds: Mapping[str, type] | None = None) -> tuple[dict[str, Tensor], dict]:
    """The tensors of a file and what its header tells.

    Args:
        path: of the file.
        kind: what it must be a file of.
        holds: what the header must tell, and of which types.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, of another kind or format, or its header lacks something.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})["about"])
            if not isinstance(told, dict):
                raise ValueError("its header is no JSON object")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no {kind} of this library ({error}).") from error
    if told.get("format") != FORMAT:
        raise ValueError(f"{path} has format {told.get('format')}; this version reads {FORMAT}.")
    if (found := told.get("kind", KIND)) != kind:  # the first checkpoints do not say what they are
        raise ValueError(f"{path} is a {found}; a {kind} is wanted here.")
    if lacking := [name for name, wanted in (holds or {}).items() if not isinstance(told.get(name), wanted)]:
        raise ValueError(f"{path} is damaged or no {kind} of this library (its header tells no {', '.join(lacking)}).")
    return tensors, told
