"""How long and how fast a method is trained."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """All units are steps, unless said otherwise. One step is one batch and one update of the weights.

    Attributes:
        steps: how many updates.
        batch_size: images of a batch.
        optimizer: `adam` (decoupled weight decay) or `sgd` (with Nesterov's momentum).
        momentum: how much the mean of the gradients keeps of what it was: Adam's β1, or the momentum of `sgd`.
        learning_rate: the largest one.
        backbone_rate: the backbone's share of the learning rate; the papers take 0.05 for pretrained ones.
        weight_decay: of all weights that are matrices or kernels; biases, norms, proxies, prototypes, centres and
            codebooks are left alone.
        warm_up: steps over which the learning rate rises from 0; then it falls to 0 as half a cosine does, or in stairs.
        decay: what is left of the learning rate after each stair; None for half a cosine.
        decay_every: length of a stair.
        clip: the largest norm of the whole gradient; 0 for no limit.
        evaluate_every: how often the validation score is taken and a snapshot made; also before the first step and
            after the last.
        save_every: how often the state is saved for a resume.
        seed: of the order of the images, of their views, and of what layers draw, such as dropout.
    """

    steps: int
    batch_size: int = 128
    optimizer: str = "adam"
    momentum: float = 0.9
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    weight_decay: float = 1e-4
    warm_up: int = 0
    decay: float | None = None
    decay_every: int = 100
    clip: float = 0.0
    evaluate_every: int = 200
    save_every: int = 500
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "batch_size", "decay_every", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1.")
        if self.optimizer not in ("adam", "sgd"):
            raise ValueError(f"optimizer={self.optimizer!r}: choose adam or sgd.")
        if self.learning_rate <= 0 or self.backbone_rate < 0 or self.weight_decay < 0 or self.clip < 0:
            raise ValueError(
                "learning_rate must be positive; backbone_rate, weight_decay and clip must not be negative."
            )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum}: give a share, at least 0 and less than 1.")
        if self.decay is not None and not 0 < self.decay <= 1:
            raise ValueError(f"decay={self.decay}: give a positive share of at most 1, or None for half a cosine.")
        if not 0 <= self.warm_up < self.steps:
            raise ValueError(f"warm_up={self.warm_up}: give from 0 to {self.steps - 1}, less than all steps.")


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The learning rate of a step, counted from 0: a linear rise, then half a cosine down to 0, or stairs.

    >>> [round(learning_rate(TrainingSettings(4, learning_rate=1.0, warm_up=2), step), 2) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    >>> [learning_rate(TrainingSettings(4, learning_rate=1.0, decay=0.5, decay_every=2), step) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    if settings.decay is not None:
        return settings.learning_rate * settings.decay ** ((step - settings.warm_up) // settings.decay_every)
    share = (step - settings.warm_up) / (settings.steps - settings.warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
