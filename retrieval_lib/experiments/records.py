"""The records: a cell a line of JSON in results/NAME.jsonl, each line whole or not there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from retrieval_lib.experiments.grid import Cell
from retrieval_lib.experiments.values import Value, check_values
from retrieval_lib.files import locked, sha256_of_file, write_whole
from retrieval_lib.paths import checkpoints_folder, results_folder


@dataclass(frozen=True)
class Record:
    """A cell that was run, and what came out.

    Attributes:
        cell: what was run.
        profile: under which profile.
        dataset, source, content_hash: on which images, as in `retrieval_lib.data.ImageSet`.
        split_hash: of the cell's split, as in `retrieval_lib.data.Split`.
        values: what came out.
        seconds: how long it took.
        device, versions: what it ran on, see `retrieval_lib.experiments.machine`.
        checkpoint_sha256: of the file `cell.checkpoint`; None where no weights are kept.
    """

    cell: Cell
    profile: str
    dataset: str
    source: str
    content_hash: str
    split_hash: str
    values: Sequence[Value]
    seconds: float
    device: str
    versions: Mapping[str, str]
    checkpoint_sha256: str | None = None

    @property
    def key(self) -> str:
        """As `Cell.key`."""
        return self.cell.key(self.split_hash, self.profile)


def results_file(name: str) -> Path:
    """Where the records of a grid lie."""
    return results_folder() / f"{name}.jsonl"


def read_records(path: Path) -> list[Record]:
    """All records of a file; none where there is no file.

    Raises:
        ValueError: a line is no record, or two lines are of the same cell; the message gives the line's number.
    """
    records: dict[str, Record] = {}
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        raise ValueError(f"{path}: the last line is cut off; take the file from the repository again.")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = _from_line(line)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number} is no record ({error}). Only `python -m retrieval_lib record` writes this "
                "file: take it from the repository again, or delete the line and record it anew."
            ) from error
        if record.key in records:
            raise ValueError(f"{path}, line {number} records {record.cell.label} a second time; delete one of the two.")
        records[record.key] = record
    return list(records.values())


def append_record(path: Path, record: Record) -> None:
    """Add a line to a file of records. The file is written anew as a whole, so that no line is ever torn.

    Of several processes one adds its line at a time, so that none is lost.

    Raises:
        ValueError: the file is damaged, or the cell was recorded already.
    """
    with locked(path):
        known = read_records(path)
        if record.key in {other.key for other in known}:
            raise ValueError(f"{path} has a record of {record.cell.label} already; another process must have added it.")
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        with write_whole(path) as partial:
            partial.write_text(before + _to_line(record) + "\n", encoding="utf-8")


def weights_of(record: Record) -> Path:
    """The file of the weights that a record is about.

    Args:
        record: of a cell that keeps a checkpoint.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is not the file that was recorded.
    """
    path = checkpoints_folder() / record.cell.checkpoint
    if not path.is_file():
        raise FileNotFoundError(f"The recorded weights {path} are missing; take the file from the repository again.")
    if (found := sha256_of_file(path)) != record.checkpoint_sha256:
        raise ValueError(
            f"{path} is not the file that was recorded: its SHA-256 is {found}, expected {record.checkpoint_sha256}. "
            "Take it from the repository again."
        )
    return path


def kept_weights(name: str, dataset: str, profile: str = "book") -> Path:
    """The file of the weights that a long run kept.

    Args:
        name: of the grid.
        dataset, profile: which of its records is wanted.

    Raises:
        FileNotFoundError: there is no such record, or the file is missing.
        ValueError: there are several such records, or the file is not the one that was recorded.
    """
    kept = [
        r for r in read_records(results_file(name))
        if (r.dataset, r.profile) == (dataset, profile) and r.cell.checkpoint is not None
    ]  # fmt: skip
    if not kept:
        raise FileNotFoundError(
            f"There is no record of weights for {dataset} in the profile {profile}: run `python -m retrieval_lib "
            f"record {name}` first."
        )
    if len(kept) > 1:
        raise ValueError(
            f"{len(kept)} records of {name} keep weights for {dataset}: {', '.join(r.cell.checkpoint for r in kept)}. One "
            "is expected; remove the lines that are not wanted."
        )
    return weights_of(kept[0])


def _to_line(record: Record) -> str:
    told = asdict(record)
    return json.dumps({**told.pop("cell"), **told}, ensure_ascii=False, allow_nan=False)


def _from_line(line: str) -> Record:
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")
    wanted = [field.name for field in (*fields(Cell), *fields(Record)) if field.name != "cell"]
    if set(told) != set(wanted):
        raise ValueError(f"missing or unknown: {', '.join(sorted(set(told) ^ set(wanted)))}")
    cell = Cell(**{field.name: told.pop(field.name) for field in fields(Cell)})
    values = [Value(**value) for value in told.pop("values")]
    check_values(values, cell.label)
    return Record(cell=cell, values=values, **told)
