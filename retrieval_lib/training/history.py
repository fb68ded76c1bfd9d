"""What happened during a training: losses and scores by step, and what codes and descriptors were on fixed images."""

import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

MIME = "application/vnd.retrieval.history+json"  # by which a check sees that a live run really trained


@dataclass(frozen=True)
class Snapshot:
    """Descriptors of the run's fixed images at one moment, and what product codes were made of them.

    Attributes:
        step: how many updates came before.
        descriptors: (n, D) float16.
        codes: (n, M) int32, of a method that has codebooks; None where codes are binary, the descriptors' signs.
        codebooks: (M, K, d) float16, or None.
    """

    step: int
    descriptors: Tensor
    codes: Tensor | None = None
    codebooks: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """What it holds, by name."""
        held = {"descriptors": self.descriptors, "codes": self.codes, "codebooks": self.codebooks}
        return {name: tensor for name, tensor in held.items() if tensor is not None}


@dataclass
class History:
    """The story of one run.

    Attributes:
        points: (n,) int64, positions of the fixed images in their data set.
        steps: after how many updates each entry of `terms`, `rates` and `seconds` was made.
        terms: for each name of a loss term its mean since the entry before.
        rates: the learning rate.
        seconds: of training, evaluation included, interruptions not.
        score_steps: when the validation score was taken.
        scores: what it was.
        snapshots: of the fixed images, in the order of time.
        weights_before: SHA-256 of all parameters.
        weights_after: the same, at the end.
        initial: what the weights were at the beginning, in words.
    """

    points: Tensor
    steps: list[int] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    score_steps: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    weights_before: str = ""
    weights_after: str = ""
    initial: str = "random"

    @property
    def losses(self) -> list[float]:
        """The sum of all terms, an entry for each of `steps`."""
        return [sum(values) for values in zip(*self.terms.values(), strict=True)]

    def add(self, step: int, terms: dict[str, float], rate: float, seconds: float) -> None:
        """One entry."""
        self.steps.append(step)
        self.rates.append(rate)
        self.seconds.append(seconds)
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value)

    def numbers(self) -> dict:
        """All that is not a tensor, for a JSON file."""
        names = ("steps", "terms", "rates", "seconds", "score_steps", "scores", "weights_before", "weights_after")
        return {name: getattr(self, name) for name in (*names, "initial")}

    def _repr_mimebundle_(self, **_) -> dict:
        """What a notebook shows, and what it keeps for the check of live runs."""
        seconds = self.seconds[-1] if self.seconds else 0.0
        told = f"{self.steps[-1] if self.steps else 0:,} steps in {seconds:.0f} s"
        if self.scores:
            told += f"; validation mAP from {self.scores[0]:.3f} to {self.scores[-1]:.3f}"
        kept = {
            "steps": self.steps[-1] if self.steps else 0,
            "seconds": seconds,
            "initial": self.initial,
            "weights_before": self.weights_before,
            "weights_after": self.weights_after,
            "losses": [round(value, 5) for value in self.losses],
        }
        return {"text/plain": told, "text/markdown": told, MIME: kept}


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
