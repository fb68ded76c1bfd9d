"""What a recorded experiment is: a grid of cells, and how one cell is run."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from retrieval_lib.data import ImageSet, Split, make_split
from retrieval_lib.experiments.values import Value


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        method, variant: what runs.
        protocol: of the split, as `retrieval_lib.data.make_split` knows it.
        bits: length of the code; None where there is none.
        seed: of the run. It is set before the run, so that a cell does not depend on those before it.
        settings: of the method, by name; strings, numbers and truth values.
        split_settings, split_seed: of the split.
        checkpoint: name of the file in checkpoints/ that the run's weights are kept in; None to keep none.
    """

    method: str
    variant: str
    protocol: str
    bits: int | None = None
    seed: int = 0
    settings: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    split_settings: Mapping[str, int] = field(default_factory=dict)
    split_seed: int = 0
    checkpoint: str | None = None

    @property
    def label(self) -> str:
        """The cell in words: what tells it from the other cells of its grid."""
        told = [self.method, self.variant]
        told += [f"{self.bits} bits"] if self.bits is not None else []
        told += [f"{key} {value}" for key, value in {**self.split_settings, **self.settings}.items()]
        return ", ".join([*told, f"seed {self.seed}"])

    def split(self, images: ImageSet) -> Split:
        """The split of this cell, drawn."""
        return make_split(images, self.protocol, self.split_seed, **self.split_settings)

    def key(self, split_hash: str, profile: str) -> str:
        """What is recorded once: the cell with its split and profile, as 16 hexadecimal digits.

        >>> cell = Cell("LSH", "pixels", "mnist-200-1k", bits=16)
        >>> cell.key("abc", "book") == cell.key("abc", "quick")
        False
        """
        told = asdict(self) | {"split_hash": split_hash, "profile": profile}
        del told["checkpoint"]  # where the weights are kept changes no result
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Job:
    """All that the run of a cell is given.

    Attributes:
        cell: what to run.
        images, split: on which images.
        profile: `quick`, `book` or `full`.
        weights: the file that the run must write its weights to; None where the cell keeps no checkpoint.
        state: the file that an unfinished training may be kept in, to go on with; None to keep none.
    """

    cell: Cell
    images: ImageSet
    split: Split
    profile: str
    weights: Path | None = None
    state: Path | None = None


@dataclass(frozen=True)
class Grid:
    """A recorded experiment.

    Attributes:
        name: of the command `record NAME` and of results/NAME.jsonl.
        title: one line that says what is compared.
        kind: of images, `general` or `faces`, see `retrieval_lib.data.choose`.
        cells: gives all cells for a profile and the images.
        run: runs one cell and gives its values.
        seconds: about how long a cell takes, until one was recorded.
        repeatable: whether a cell gives the same values on every machine, but for rounding. Training does not.
        evaluate_checkpoint: gives the values of a cell from its weights alone; needed where cells keep checkpoints.
    """

    name: str
    title: str
    kind: str
    cells: Callable[[str, ImageSet], Sequence[Cell]]
    run: Callable[[Job], Sequence[Value]]
    seconds: float
    repeatable: bool
    evaluate_checkpoint: Callable[[Job, Path], Sequence[Value]] | None = None
