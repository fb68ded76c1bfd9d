"""The long runs of all methods: judged from their files, which are small; stopped, they go on as if nothing was."""

import signal
from dataclasses import replace

import pytest

from retrieval_lib.data import load
from retrieval_lib.experiments import Job, long_run, record
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.record import record_grid, run_job
from retrieval_lib.experiments.records import read_records, results_file
from retrieval_lib.training import loop, state, train
from retrieval_lib.training.checkpoints import read_tensors, write_tensors

SEARCHES = {
    "dhd-long": {"test", "untrained", "validation"},
    "dhd-long-second": {"test", "untrained", "validation"},
    "sgh-long": {"test", "validation"},
    "gpq-long": {"test", "validation"},
    "spq-long": {"test", "validation"},
}


@pytest.fixture
def job(request, book, monkeypatch):
    """The tiny job of a long run, by the grid's name."""
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    grid = GRIDS[request.param]
    images = load("orl") if grid.kind == "faces" else request.getfixturevalue("digits")
    cell = grid.cells("quick", images)[0]
    weights, state = book / "checkpoints" / cell.checkpoint, book / "cache" / "run.state"
    return Job(cell, images, cell.split(images), "quick", weights, state)


def test_every_long_run_is_tested_here():
    assert {name for name, grid in GRIDS.items() if grid.evaluate_checkpoint is not None} == set(SEARCHES)


@pytest.mark.parametrize(("name", "job"), [(name, name) for name in SEARCHES], indirect=["job"])
def test_a_long_run_is_judged_from_its_file(name, job):
    whole = GRIDS[name].run(job)
    assert whole == GRIDS[name].evaluate_checkpoint(job, job.weights)
    assert {value.search for value in whole} == SEARCHES[name]


@pytest.mark.parametrize(("name", "job"), [(name, name) for name in SEARCHES], indirect=["job"])
def test_the_weights_in_half_precision_fit_into_five_megabytes(name, job, monkeypatch):
    made = []

    def measured(method, *_, **__):
        made.append(sum(2 * tensor.numel() for tensor in method.state_dict().values()))
        raise KeyboardInterrupt

    monkeypatch.setattr(long_run, "train", measured)
    monkeypatch.setattr(long_run, "budget_for", lambda profile, wanted: wanted)
    with pytest.raises(KeyboardInterrupt):
        GRIDS[name].run(job)
    assert 1e5 < made[0] < 5e6


@pytest.mark.parametrize("job", ["gpq-long"], indirect=True)
def test_without_a_place_for_its_weights_a_long_run_is_judged_the_same(job):
    further = GRIDS["gpq-long-seeds"]
    kept = GRIDS["gpq-long"].run(job)
    assert further.run(replace(job, weights=None, state=None)) == kept
    cells = further.cells("quick", job.images)
    assert [cell.seed for cell in cells] == [1, 2] and all(cell.checkpoint is None for cell in cells)
    assert all(replace(cell, seed=0, checkpoint=job.cell.checkpoint) == job.cell for cell in cells)


def test_a_stopped_long_run_that_keeps_no_weights_goes_on(book, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    steps, update = [], loop.update

    def counted(*arguments):
        steps.append(arguments)
        return update(*arguments)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "update", counted)
    with monkeypatch.context() as change:
        change.setattr(record, "check_values", stop)
        with pytest.raises(KeyboardInterrupt):
            record_grid(GRIDS["gpq-long-seeds"])
    (left,) = (book / "cache").glob("*.state")
    assert left.name.startswith("gpq-long-seeds-")  # grids may have the same cell, and not the same training
    of_one = len(steps)
    assert record_grid(GRIDS["gpq-long-seeds"]) == 2
    assert len(steps) == 2 * of_one > 0  # the first of the two was not trained again
    assert not list((book / "cache").glob("*.state"))


@pytest.mark.parametrize("job", ["dhd-long-second"], indirect=True)
def test_batch_statistics_are_taken_anew_where_that_is_wanted(job, monkeypatch):
    seen = []
    monkeypatch.setattr(long_run, "settle_batch_statistics", lambda network, images: seen.append(len(images)))
    GRIDS["dhd-long-second"].run(job)
    assert seen == [len(job.split.train)]


@pytest.mark.parametrize("job", ["spq-long"], indirect=True)
def test_the_file_tells_how_the_codewords_were_used(job):
    GRIDS["spq-long"].run(job)
    told = read_tensors(job.weights, "checkpoint")[1]
    use = told["settings"]["codeword_use"]
    assert [moment["step"] for moment in use] == told["history"]["score_steps"]
    for moment in use:
        assert len(moment["perplexity"]) == 8 and all(1 <= value <= 16 for value in moment["perplexity"])
        assert 0 <= moment["unused"] < 8 * 16


@pytest.mark.parametrize("job", ["dhd-long"], indirect=True)
def test_a_stopped_long_run_goes_on(job, monkeypatch):
    grid = GRIDS["dhd-long"]
    whole = grid.run(job)
    job.weights.unlink()
    job.state.unlink()

    def stopped(*arguments, **settings):
        seen = []

        def stop(method, history):
            seen.append(history)
            if len(seen) == 2:  # before the first step, and at the first evaluation
                signal.raise_signal(signal.SIGINT)

        return train(*arguments, callback=stop, **settings)

    monkeypatch.setattr(long_run, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        grid.run(job)
    assert job.state.exists() and not job.weights.exists()
    monkeypatch.setattr(long_run, "train", train)
    assert grid.run(job) == whole


@pytest.mark.parametrize("job", ["dhd-long"], indirect=True)
def test_a_record_counts_the_time_of_all_sittings(job, monkeypatch):
    grid = GRIDS["dhd-long"]
    grid.run(job)  # its state stays until the run is recorded
    monkeypatch.setattr(record, "seconds_spent", lambda path: 5000.0 if path == job.state else 0.0)
    assert 5000 < run_job(grid, job).seconds < 5100
    spent = state.seconds_spent(job.state)
    assert 0 < spent < 100 and state.seconds_spent(job.state.with_name("nowhere.state")) == 0


def test_stopped_before_it_is_recorded_a_finished_run_is_not_trained_again(book, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    grid = GRIDS["dhd-long"]

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as change:
        change.setattr(record, "sha256_of_file", stop)
        with pytest.raises(KeyboardInterrupt):
            record_grid(grid)
    assert list((book / "cache").glob("*.state")) and not list((book / "checkpoints").iterdir())
    monkeypatch.setattr(loop, "update", stop)
    assert record_grid(grid) == 1
    assert not list((book / "cache").glob("*.state"))


def both_ways_of(run, images):
    """The jobs of the two cells that judge a kept network of DHD: without and with mirror images."""
    cells = [c for c in GRIDS["dhd-both-ways"].cells("quick", images) if c.settings["run"] == run]
    return [Job(cell, images, cell.split(images), "quick") for cell in cells]


@pytest.mark.parametrize(("name", "run"), [("dhd-long", "first run"), ("dhd-long-second", "second run")])
def test_kept_networks_of_dhd_are_judged_with_and_without_mirror_images(digits, book, monkeypatch, name, run):
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    both_ways, jobs = GRIDS["dhd-both-ways"], both_ways_of(run, digits)
    with pytest.raises(FileNotFoundError, match=rf"record {name}` first"):
        both_ways.run(jobs[0])
    record_grid(GRIDS[name])
    (recorded,) = read_records(results_file(name))
    trained = {v.name: v.value for v in recorded.values if v.search != "validation"}
    alone, mirrored = ({v.name: v.value for v in both_ways.run(one)} for one in jobs)
    assert {name: alone[name] for name in trained} == trained
    assert alone.keys() == mirrored.keys() and alone != mirrored
    assert {name.partition(":")[0] for name in alone.keys() - trained.keys()} == {"validation"}


def test_weights_that_are_not_the_recorded_ones_are_not_loaded(digits, book, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_CACHE", str(book / "cache"))
    record_grid(GRIDS["dhd-long"])
    (weights,) = (book / "checkpoints").iterdir()
    tensors, told = read_tensors(weights, "checkpoint")
    tensors["proxies"][0, 0] += 1
    write_tensors(weights, tensors, told, "checkpoint")
    job = both_ways_of("first run", digits)[0]
    with pytest.raises(
        ValueError, match=r"dhd-long-mnist-quick.safetensors is not the file that was recorded: its SHA-256"
    ):
        GRIDS["dhd-both-ways"].run(job)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"dhd-long-mnist-quick.safetensors are missing"):
        GRIDS["dhd-both-ways"].run(job)
    results_file("dhd-long").unlink()
    with pytest.raises(FileNotFoundError, match="record dhd-long` first"):
        GRIDS["dhd-both-ways"].run(job)
