"""Verification: true records pass, each kind of untruth is found, what cannot be judged is said."""

import json

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from scipy import stats

from retrieval_lib.experiments.record import record_grid
from retrieval_lib.experiments.records import read_records, results_file
from retrieval_lib.experiments.verify import verify


@pytest.fixture
def grid(hashes):
    """Three recorded cells; the first keeps no weights."""
    hashes.weightless = (0,)
    made = hashes.grid()
    record_grid(made)
    hashes.ran.clear()
    return made


def change_records(change):
    """Edit the lines of the records as somebody might by hand."""
    path = results_file("hash")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for number, told in enumerate(lines):
        change(number, told)
    path.write_text("".join(json.dumps(told) + "\n" for told in lines))


def test_true_records_and_checkpoints_agree(hashes):
    hashes.weightless = (0, 1)
    record_grid(hashes.grid())
    change_records(lambda number, told: told.update(seconds=[3.0, 2.0, 1.0][number]))
    hashes.ran.clear()
    report = verify({"hash": hashes.grid()})
    assert (report.agreed, report.failed, report.unverified) == (1 + 1, [], [])
    assert hashes.ran == [1], "the cell that took the least time, of those that keep no weights"


def test_a_training_whose_weights_are_kept_runs_only_when_asked_for(hashes):
    record_grid(hashes.grid())
    hashes.ran.clear()
    assert verify({"hash": hashes.grid()}).agreed == 3 and hashes.ran == []
    assert verify({"hash": hashes.grid()}, all_cells=True).agreed == 3 + 3 and hashes.ran == [0, 1, 2]


def test_all_and_named_cells(grid, hashes):
    verify({"hash": grid}, all_cells=True)
    assert hashes.ran == [0, 1, 2]
    hashes.ran.clear()
    verify({"hash": grid}, only="hash", label="LSH, planes, 8 bits, seed 2")
    assert hashes.ran == [2]
    with pytest.raises(ValueError, match=r"no record of 'seed 9'; recorded are:\n  LSH, planes, 8 bits, seed 0\n"):
        verify({"hash": grid}, only="hash", label="seed 9")


def test_shipped_weights_are_not_touched_by_a_run(grid, book):
    before = {p.name: p.read_bytes() for p in (book / "checkpoints").iterdir()}
    verify({"hash": grid}, all_cells=True)
    assert {p.name: p.read_bytes() for p in (book / "checkpoints").iterdir()} == before


def limits():
    """By how much a single run may differ from another, of each recorded value: t · s · √2 over the seeds."""
    by_name = zip(*([v.value for v in record.values] for record in read_records(results_file("hash"))), strict=True)
    return [stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) * 2**0.5 for values in by_name]


@pytest.mark.parametrize(("share", "of", "fails"), [(0.9, min, False), (1.1, max, True)])
def test_a_trained_cell_may_differ_as_two_single_runs_do(grid, hashes, share, of, fails):
    assert min(limits()) > 0.002, "or this test says nothing"
    hashes.noise = hashes.shift = share * of(limits())
    report = verify({"hash": grid})
    runs = [line for line in report.failed if not line.startswith("checkpoint")]
    assert bool(runs) == fails
    assert len(report.failed) - len(runs) == 2, "a checkpoint may not: nothing is drawn when it is evaluated"


@pytest.mark.parametrize("change", ["repeatable", "two seeds"])
def test_without_enough_seeds_only_rounding_agrees(hashes, change):
    if change == "two seeds":
        hashes.seeds = (0, 1)
    hashes.weightless = (0,)
    grid = hashes.grid(repeatable=change == "repeatable")
    record_grid(grid)
    hashes.noise = 0.002
    report = verify({"hash": grid})
    if change == "repeatable":
        (told,), others = report.failed, report.unverified
    else:  # two trainings do not tell how far a third may be away
        (told,), others = report.unverified, report.failed
        assert "Fewer than 3 seeds" in told
    assert told.startswith("LSH, planes, 8 bits, seed 0") and others == []
    hashes.noise = hashes.shift = 0.0002
    report = verify({"hash": grid})
    assert report.failed == report.unverified == [] and report.agreed == len(hashes.seeds)


def test_a_limit_is_not_widened_by_the_size_of_the_value(hashes):
    hashes.weightless, hashes.scale = (0, 1, 2), 1000
    record_grid(hashes.grid())
    assert max(limits()) < 1000
    hashes.noise = 1.5 * max(limits())
    assert verify({"hash": hashes.grid()}).failed


def test_a_file_that_a_run_is_writing_is_no_stray(grid, book):
    (book / "checkpoints" / ".partial-x.safetensors").touch()
    (book / "results" / ".partial-y.jsonl").touch()
    assert verify({"hash": grid}).failed == []


def test_an_edited_value_is_found(grid):
    change_records(lambda number, told: told["values"][0].update(value=0.99))
    report = verify({"hash": grid})
    assert len(report.failed) == 2 + 1
    assert all(
        "test: mAP@100, divisor retrieved, ties expected: recorded 0.9900, now" in line for line in report.failed
    )


def test_a_value_that_is_missing_or_new_is_found(grid):
    change_records(lambda number, told: told["values"].pop(0))
    assert "test: mAP@100, divisor retrieved, ties expected is new" in verify({"hash": grid}).failed[0]
    change_records(lambda number, told: told["values"].append(dict(told["values"][0], metric="speed")))
    assert "test: speed@100, divisor min(k, R), ties expected is missing" in verify({"hash": grid}).failed[0]


def test_weights_that_were_changed_are_found(grid, book):
    path = book / "checkpoints" / "hash-1.safetensors"
    tensors = load_file(path)
    tensors["directions"][0, 0] += 1
    save_file(tensors, path)
    (failed,) = verify({"hash": grid}).failed
    assert "hash-1.safetensors" in failed and "SHA-256" in failed


def test_missing_weights_are_found(grid, book):
    (book / "checkpoints" / "hash-2.safetensors").unlink()
    (failed,) = verify({"hash": grid}).failed
    assert failed.startswith("checkpoint hash-2.safetensors: ") and "are missing" in failed


def test_weights_without_a_record_are_found(grid, book):
    save_file({}, book / "checkpoints" / "stray.safetensors")
    (failed,) = verify({"hash": grid}).failed
    assert "stray.safetensors" in failed and "no record" in failed


def test_records_that_no_grid_is_of_are_found(grid):
    (failed,) = verify({}).failed
    assert "hash.jsonl" in failed and "no grid of this name" in failed


def test_a_cell_that_the_grid_no_longer_has_is_found(grid, hashes):
    hashes.seeds = (1,)
    change_records(lambda number, told: told.update(seconds=float(number)))
    failed = verify({"hash": grid}).failed
    assert len(failed) == 2 and all("no such cell any more" in line for line in failed)


def test_a_split_that_is_drawn_otherwise_is_found(grid):
    change_records(lambda number, told: told.update(split_hash="0" * 64))
    assert len(verify({"hash": grid}).failed) == 2 + 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dataset": "cifar10", "content_hash": "1"}, "cifar10 was not found"),
        ({"source": "JPEG copy", "content_hash": "2"}, "is another copy"),
        ({"dataset": "holidays", "content_hash": "3"}, "somebody's own folder"),
    ],
)
def test_records_without_their_images_are_said_to_be_unverified(grid, capsys, change, why):
    change_records(lambda number, told: told.update(change) if number else None)
    report = verify({"hash": grid})
    assert report.failed == [] and report.agreed == 1
    (told,) = report.unverified
    assert "hash: 2 records" in told and why in told
    assert f"NOT VERIFIED  {told}" in capsys.readouterr().out


def test_nothing_recorded(hashes):
    report = verify({"hash": hashes.grid()})
    assert (report.agreed, report.failed, report.unverified) == (0, [], [])
    with pytest.raises(ValueError, match="Nothing is recorded of 'hash'; recorded are: no grids"):
        verify({"hash": hashes.grid()}, only="hash")
