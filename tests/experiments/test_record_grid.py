"""Running a grid: each cell once, stopped and gone on with, nothing kept that is not whole."""

import dataclasses

import pytest
import torch

from retrieval_lib.data import load
from retrieval_lib.experiments import Cell, Value
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.listing import list_grids
from retrieval_lib.experiments.record import estimate, plan, record_grid
from retrieval_lib.experiments.records import read_records, results_file
from retrieval_lib.files import sha256_of_file
from retrieval_lib.profiles import PROFILES


def recorded():
    return read_records(results_file("hash"))


def test_a_record_says_all_that_it_must(hashes, digits, book):
    assert record_grid(hashes.grid()) == 3
    record = recorded()[1]
    assert (record.cell.seed, record.profile, record.dataset) == (1, "quick", "mnist")
    assert record.source == digits.source and record.content_hash == digits.content_hash
    assert record.split_hash == record.cell.split(digits).hash
    assert set(record.versions) == {"python", "torch", "faiss", "retrieval_lib"}
    assert record.versions["torch"] == torch.__version__ and record.device.startswith("CPU")
    assert {(v.divisor, v.ties) for v in record.values} == {
        (d, t) for d in ("retrieved", "min(k, R)") for t in ("expected", "seeded")
    }
    weights = book / "checkpoints" / "hash-1.safetensors"
    assert record.checkpoint_sha256 == sha256_of_file(weights)


def test_what_is_recorded_is_not_run_again(hashes, capsys):
    record_grid(hashes.grid())
    assert record_grid(hashes.grid()) == 0 and hashes.ran == [0, 1, 2]
    hashes.seeds = (0, 1, 2, 3)
    assert record_grid(hashes.grid()) == 1 and hashes.ran == [0, 1, 2, 3]
    assert "4 cells, 3 of them recorded already" in capsys.readouterr().out


def test_ctrl_c_keeps_what_is_done_and_loses_nothing(hashes, book):
    hashes.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        record_grid(hashes.grid())
    assert [record.cell.seed for record in recorded()] == [0, 1]
    assert sorted(p.name for p in (book / "checkpoints").iterdir()) == ["hash-0.safetensors", "hash-1.safetensors"]
    hashes.stop_at = None
    assert record_grid(hashes.grid()) == 1
    assert hashes.ran == [0, 1, 2] and len(recorded()) == 3


def test_a_cell_does_not_depend_on_those_before_it(hashes, book):
    record_grid(hashes.grid())
    together = {record.cell.seed: record.values for record in recorded()}
    results_file("hash").unlink()
    hashes.seeds = (2,)
    record_grid(hashes.grid())
    assert recorded()[0].values == together[2]
    assert together[0] != together[1], "seeds make a difference"


def test_another_profile_is_another_record(hashes, monkeypatch):
    grid = hashes.grid(cells=lambda profile, images: [dataclasses.replace(c, checkpoint=f"hash-{profile}-{c.seed}.safetensors") for c in hashes.cells(profile, images)])  # fmt: skip
    record_grid(grid)
    monkeypatch.setenv("RETRIEVAL_PROFILE", "book")
    assert record_grid(grid) == 3 and len(recorded()) == 6


def test_another_profile_must_not_overwrite_weights(hashes, monkeypatch):
    record_grid(hashes.grid())
    monkeypatch.setenv("RETRIEVAL_PROFILE", "book")
    with pytest.raises(ValueError, match=r"would overwrite hash-0.safetensors.*profile quick"):
        record_grid(hashes.grid())


def test_weights_that_do_not_give_the_values_are_not_kept(hashes, book):
    hashes.shift = 0.01
    with pytest.raises(ValueError, match=r"checkpoint does not give the values.*test: mAP@100"):
        record_grid(hashes.grid())
    assert recorded() == [] and not list((book / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "no values"),
        ([Value(float("nan"), "mAP", "test")], "only finite"),
        ([Value(float("inf"), "mAP", "test")], "only finite"),
        ([Value(0.1, "mAP", "test"), Value(0.2, "mAP", "test")], "same name"),
    ],
)
def test_values_that_say_nothing_are_refused(hashes, values, why):
    cells = [Cell("LSH", "planes", "mnist-200-1k")]
    with pytest.raises(ValueError, match=why):
        record_grid(hashes.grid(cells=lambda *_: cells, run=lambda job: values))
    assert recorded() == []


def test_two_cells_that_are_the_same_are_refused(hashes, digits):
    cell = Cell("LSH", "planes", "mnist-200-1k")
    with pytest.raises(ValueError, match="two cells are the same"):
        plan(hashes.grid(cells=lambda *_: [cell, cell]), digits, "quick")


@pytest.mark.parametrize("name", ["other-0.safetensors", "hash-0.pt", "hash/../../x.safetensors"])
def test_checkpoints_lie_under_the_grids_name(hashes, digits, name):
    cells = [Cell("LSH", "planes", "mnist-200-1k", checkpoint=name)]
    with pytest.raises(ValueError, match=r"of the form hash-….safetensors"):
        plan(hashes.grid(cells=lambda *_: cells), digits, "quick")


def test_two_cells_must_not_share_a_checkpoint(hashes, digits):
    cells = [Cell("LSH", "planes", "mnist-200-1k", seed=s, checkpoint="hash-x.safetensors") for s in (0, 1)]
    with pytest.raises(ValueError, match="needs a name of its own"):
        plan(hashes.grid(cells=lambda *_: cells), digits, "quick")


def test_checkpoints_need_a_function_that_evaluates_them(hashes, digits):
    with pytest.raises(ValueError, match="no function that evaluates one"):
        plan(hashes.grid(evaluate_checkpoint=None), digits, "quick")


def test_cells_with_other_splits_get_theirs(hashes, digits):
    few, all_ = Cell("a", "b", "mnist-200-100-1k", split_settings={"labels": 50}), Cell("a", "b", "mnist-200-100-1k")
    other = dataclasses.replace(all_, split_seed=1)
    planned = plan(hashes.grid(cells=lambda *_: [few, all_, other]), digits, "quick")
    assert len({split.hash for _, split in planned}) == 3
    assert len(planned[0][1].train) == 50
    assert all(split.hash == cell.split(digits).hash for cell, split in planned)


@pytest.fixture(scope="module")
def embedded(digits):
    """The embedded images by their kind."""
    return {"general": digits, "faces": load("orl")}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", GRIDS)
def test_every_grid_can_be_recorded_on_the_embedded_images(embedded, name, profile):
    planned = plan(GRIDS[name], embedded[GRIDS[name].kind], profile)
    assert planned
    if name.endswith("-trials"):
        assert all("validation" in split.searches for _, split in planned), "settings are chosen on it"


@pytest.mark.parametrize("told", [{"settings": {"variant": "a"}}, {"split_settings": {"seconds": 3}}])
def test_settings_that_are_called_like_columns_are_refused_before_anything_runs(hashes, told):
    cells = [Cell("LSH", "planes", "mnist-200-1k", **told)]
    with pytest.raises(ValueError, match=r"called like columns: (variant|seconds); rename"):
        record_grid(hashes.grid(cells=lambda *_: cells))
    assert hashes.ran == []


def test_the_estimate_learns_from_what_was_recorded(hashes, digits):
    record_grid(hashes.grid())
    known = [dataclasses.replace(r, seconds=s) for r, s in zip(recorded(), (10.0, 20.0, 30.0), strict=True)]
    like, unlike = Cell("LSH", "x", "p", 8), Cell("LSH", "x", "p", 64)
    known[2] = dataclasses.replace(known[2], cell=dataclasses.replace(known[2].cell, bits=64))
    assert estimate(hashes.grid(), [like, like, unlike], known, digits, "quick") == 15 + 15 + 30
    assert estimate(hashes.grid(), [Cell("PQ", "x", "p", 8)], known, digits, "quick") == 20
    assert estimate(hashes.grid(), [like], known, digits, "book") == hashes.grid().seconds, (
        "another profile says nothing"
    )


def test_listing_counts_cells_and_estimates(hashes, capsys):
    hashes.stop_at = 1
    with pytest.raises(KeyboardInterrupt):
        record_grid(hashes.grid())
    capsys.readouterr()
    list_grids([hashes.grid()])
    told = capsys.readouterr().out
    assert "1 cells done, 2 left, about" in told and "a small grid" in told
    hashes.stop_at = None
    record_grid(hashes.grid())
    capsys.readouterr()
    list_grids([hashes.grid()])
    assert "3 cells done, 0 left, complete" in capsys.readouterr().out
