"""The files of records: every line whole, every damage named."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval_lib.experiments import Cell, Value
from retrieval_lib.experiments.records import Record, append_record, kept_weights, read_records, results_file
from retrieval_lib.files import sha256_of_file
from retrieval_lib.paths import checkpoints_folder

VALUES = (Value(0.25, "mAP", "test", 1000, "retrieved", "expected"), Value(7.5, "codeword perplexity"))


def made(seed=0, **changes) -> Record:
    cell = Cell("LSH", "centred", "mnist-200-1k", 16, seed, settings={"alpha": 20.0, "plain": True})
    record = Record(cell, "quick", "mnist", "embedded", "c0ffee", "5417", list(VALUES), 1.5, "CPU", {"python": "3.11"})
    return dataclasses.replace(record, **changes)


@pytest.fixture
def path():
    return results_file("some-grid")


def test_what_is_written_is_read(path):
    records = [made(0), made(1, checkpoint_sha256="ab"), made(2, source="JPEG copy – ü")]
    for record in records:
        append_record(path, record)
    assert read_records(path) == records
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3, "a cell a line"
    told = json.loads(lines[0])
    for name in ("method", "variant", "bits", "seed", "protocol", "settings", "checkpoint"):
        assert told[name] == getattr(records[0].cell, name)
    assert told["values"][0]["divisor"] == "retrieved" and told["values"][0]["ties"] == "expected"


def test_no_file_means_no_records(path):
    assert read_records(path) == []


def test_a_failing_disk_leaves_the_file_as_it_was(path, monkeypatch):
    append_record(path, made(0))
    before = path.read_bytes()

    def full(self, text, **_):
        with self.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        append_record(path, made(1))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if not p.name.endswith(".lock")] == [path.name], (
        "nothing half-written stays"
    )


SLOWER = """
import sys, time
from pathlib import Path
from retrieval_lib.files import locked
path = Path(sys.argv[1])
with locked(path):
    before = path.read_text()
    print("read", flush=True)
    time.sleep(0.5)
    path.write_text(before + sys.argv[2])
"""


def test_a_process_that_is_slower_does_not_lose_the_line_of_a_faster_one(path):
    append_record(path, made(0))
    first = path.read_text()
    append_record(path, made(1))
    second = path.read_text().removeprefix(first)
    path.write_text(first)
    with subprocess.Popen([sys.executable, "-c", SLOWER, path, second], stdout=subprocess.PIPE, text=True) as slower:
        assert slower.stdout.readline() == "read\n"
        append_record(path, made(2))
    assert [record.cell.seed for record in read_records(path)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{not json", "Expecting"),
        ("[1, 2]", "it is no JSON object"),
        ("", "Expecting"),
        ("<<<<<<< HEAD", "Expecting"),
        (json.dumps({"method": "LSH"}), "missing or unknown: bits"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_its_number(path, line, why):
    append_record(path, made(0))
    append_record(path, made(1))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[1]]) + "\n")
    with pytest.raises(ValueError, match=rf"line 2 is no record \({why}"):
        read_records(path)
    with pytest.raises(ValueError, match="line 2"):  # and nothing is added to such a file
        append_record(path, made(2))


@pytest.mark.parametrize("value", ["NaN", '"0.2"', "null"])
def test_a_value_that_is_no_number_is_refused(path, value):
    append_record(path, made(0))
    path.write_text(path.read_text().replace('"value": 0.25', f'"value": {value}'))
    with pytest.raises(ValueError, match="line 1 is no record"):
        read_records(path)


def test_a_cut_last_line_is_refused(path):
    append_record(path, made(0))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="last line is cut off"):
        read_records(path)


def test_a_cell_is_recorded_once(path):
    append_record(path, made(0))
    with pytest.raises(ValueError, match=r"has a record of LSH.*already"):
        append_record(path, made(0, seconds=3.0))
    path.write_text(path.read_text() * 2)
    with pytest.raises(ValueError, match=r"line 2 records LSH, .* a second time"):
        read_records(path)


def test_the_key_tells_apart_what_gives_another_result():
    cell = made().cell
    keys = {
        dataclasses.replace(cell, **change).key(split, profile)
        for change in (
            {}, {"method": "ITQ"}, {"variant": "v"}, {"bits": 32}, {"seed": 1}, {"settings": {"alpha": 2}},
            {"split_settings": {"labels": 500}}, {"split_seed": 1}, {"protocol": "orl"},
        )
        for split in ("5417", "other")
        for profile in ("quick", "book")
    }  # fmt: skip
    assert len(keys) == 9 * 2 * 2


def test_the_key_overlooks_what_does_not():
    cell = made().cell
    turned = dataclasses.replace(cell, settings={"plain": True, "alpha": 20.0}, checkpoint="some.safetensors")
    assert turned.key("5417", "quick") == cell.key("5417", "quick")


def test_kept_weights_are_the_one_file_that_was_recorded(path):
    kept = dataclasses.replace(made().cell, checkpoint="kept.safetensors")
    file = checkpoints_folder() / kept.checkpoint
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    with pytest.raises(FileNotFoundError, match="record some-grid"):
        kept_weights("some-grid", "mnist", "quick")
    append_record(path, made(1))  # keeps no weights
    append_record(path, made(cell=kept, checkpoint_sha256=sha256_of_file(file)))
    append_record(path, made(cell=kept, split_hash="6", profile="book", checkpoint_sha256="ab"))
    assert kept_weights("some-grid", "mnist", "quick") == file
    with pytest.raises(ValueError, match=r"not the file that was recorded.*expected ab"):
        kept_weights("some-grid", "mnist", "book")
    append_record(path, made(cell=dataclasses.replace(kept, seed=2), checkpoint_sha256="cd"))
    with pytest.raises(ValueError, match="2 records of some-grid keep weights for mnist"):
        kept_weights("some-grid", "mnist", "quick")
    file.unlink()
    with pytest.raises(FileNotFoundError, match="are missing"):
        kept_weights("some-grid", "mnist", "book")
