"""Run a grid and keep what comes out: cell by cell, so that it can be stopped and gone on with."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from retrieval_lib.data import ImageSet, Split, cache_folder, choose
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.machine import device_name, versions
from retrieval_lib.experiments.records import Record, append_record, read_records, results_file
from retrieval_lib.experiments.table import setting_columns
from retrieval_lib.experiments.values import Value, check_values
from retrieval_lib.files import sha256_of_file, write_whole
from retrieval_lib.paths import checkpoints_folder
from retrieval_lib.profiles import current_profile
from retrieval_lib.progress import format_seconds
from retrieval_lib.training.state import seconds_spent

ROUNDING = 5e-4  # half a unit of the third decimal, which is the last that the pages show


def record_grid(grid: Grid) -> int:
    """Run all cells of a grid that are not recorded yet, on the images of this machine, under the current profile.

    Each cell is added to results/NAME.jsonl when it is done. Stopping (Ctrl-C) loses the cell that runs, no other; a
    long run does not even lose that: its state lies in the cache until it is recorded, and it goes on.

    Returns:
        How many cells were run.

    Raises:
        ValueError: the file of records is damaged, or a cell gives values that cannot be recorded.
    """
    choice = choose(grid.kind)
    profile = current_profile()
    print(f"{grid.name}: {grid.title}")
    print(f"Images: {choice.images.name}, {choice.images.source}. {choice.reason}")
    planned, known = plan(grid, choice.images, profile), read_records(results_file(grid.name))
    left = unrecorded(planned, known, profile)
    _keep_other_checkpoints(left, known)
    print(f"Profile {profile}: {len(planned)} cells, {len(planned) - len(left)} of them recorded already.")
    for number, (cell, split) in enumerate(left, start=1):
        remaining = estimate(grid, [cell for cell, _ in left[number - 1 :]], known, choice.images, profile)
        print(f"[{number}/{len(left)}] {cell.label}: about {format_seconds(remaining)} left in all", flush=True)
        state = cache_folder() / f"{grid.name}-{cell.key(split.hash, profile)}.state"
        job = Job(cell, choice.images, split, profile, state=state)
        if cell.checkpoint is None:
            record = run_job(grid, job)
        else:
            with write_whole(checkpoints_folder() / cell.checkpoint) as weights:
                record = run_job(grid, replace(job, weights=weights))
        append_record(results_file(grid.name), record)
        state.unlink(missing_ok=True)
        known.append(record)
        print(
            f"    {record.values[0].name} = {record.values[0].value:.4f}, {format_seconds(record.seconds)}", flush=True
        )
    return len(left)


def plan(grid: Grid, images: ImageSet, profile: str) -> list[tuple[Cell, Split]]:
    """All cells of a grid, each with its split.

    Raises:
        ValueError: two cells are the same, a setting cannot be a column of a table, or checkpoints cannot be told apart
            or evaluated.
    """
    splits: dict[str, Split] = {}
    planned = []
    for cell in grid.cells(profile, images):
        setting_columns(cell)  # refuses, before hours are spent, what could never be read as a table
        which = repr((cell.protocol, cell.split_seed, sorted(cell.split_settings.items())))
        if which not in splits:
            splits[which] = cell.split(images)
        planned.append((cell, splits[which]))
    keys = [cell.key(split.hash, profile) for cell, split in planned]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{grid.name}: two cells are the same; every cell needs a method, variant, ... of its own.")
    _check_checkpoints(grid, [cell.checkpoint for cell, _ in planned if cell.checkpoint is not None])
    return planned


def _check_checkpoints(grid: Grid, names: Sequence[str]) -> None:
    if names and grid.evaluate_checkpoint is None:
        raise ValueError(f"{grid.name} keeps checkpoints, but has no function that evaluates one.")
    for name in names:
        if names.count(name) > 1 or "/" in name or not (name.startswith(grid.name) and name.endswith(".safetensors")):
            raise ValueError(
                f"{grid.name}: the checkpoint {name!r} needs a name of its own, of the form {grid.name}-….safetensors."
            )


def _keep_other_checkpoints(left: Sequence[tuple[Cell, Split]], known: Sequence[Record]) -> None:
    """A new run must not overwrite the weights that another record (of other images, or another profile) is about."""
    taken = {record.cell.checkpoint: record for record in known if record.cell.checkpoint is not None}
    for cell, _ in left:
        if cell.checkpoint in taken:
            other = taken[cell.checkpoint]
            raise ValueError(
                f"{cell.label} would overwrite {cell.checkpoint}, the weights of a record of {other.dataset} under the "
                f"profile {other.profile}. Give the cell another file, by data set and profile."
            )


def unrecorded(
    planned: Sequence[tuple[Cell, Split]], known: Sequence[Record], profile: str
) -> list[tuple[Cell, Split]]:
    """The planned cells that no record is of."""
    done = {record.key for record in known}
    return [(cell, split) for cell, split in planned if cell.key(split.hash, profile) not in done]


def estimate(grid: Grid, cells: Sequence[Cell], known: Sequence[Record], images: ImageSet, profile: str) -> float:
    """Seconds that these cells will take: what such cells took, else what any cell took, else what the grid says."""
    comparable = [r for r in known if r.profile == profile and r.content_hash == images.content_hash]
    total = 0.0
    for cell in cells:
        alike = [r for r in comparable if (r.cell.method, r.cell.bits) == (cell.method, cell.bits)] or comparable
        total += sum(r.seconds for r in alike) / len(alike) if alike else grid.seconds
    return total


def run_job(grid: Grid, job: Job) -> Record:
    """Run a cell; where it writes weights, see that their file alone gives the same values.

    Raises:
        ValueError: the values cannot be recorded, or the weights give others.
    """
    torch.manual_seed(job.cell.seed)
    earlier = 0.0 if job.state is None else seconds_spent(job.state)  # of sittings that were stopped
    start = time.monotonic()
    values = list(grid.run(job))
    seconds = earlier + time.monotonic() - start
    check_values(values, job.cell.label)
    if job.weights is not None:
        again = grid.evaluate_checkpoint(job, job.weights)
        told = differences(values, again, {})
        if told:
            raise ValueError(
                f"{job.cell.label}: its checkpoint does not give the values of the run: {'; '.join(told)}."
            )
    return Record(
        cell=job.cell,
        profile=job.profile,
        dataset=job.images.name,
        source=job.images.source,
        content_hash=job.images.content_hash,
        split_hash=job.split.hash,
        values=values,
        seconds=round(seconds, 2),
        device=device_name(),
        versions=versions(),
        checkpoint_sha256=None if job.weights is None else sha256_of_file(job.weights),
    )


def differences(recorded: Sequence[Value], found: Sequence[Value], limits: Mapping[str, float]) -> list[str]:
    """What is not as recorded, in words.

    Args:
        recorded, found: values of one cell.
        limits: by how much each may differ, by name; where it is missing or smaller, rounding is allowed: half a unit
            of the third decimal, and for values above 1 in proportion to them.
    """
    now = {value.name: value.value for value in found}
    told = [f"{name} is new" for name in now if name not in {value.name for value in recorded}]
    for value in recorded:
        if value.name not in now:
            told.append(f"{value.name} is missing")
            continue
        limit = max(limits.get(value.name, 0.0), ROUNDING * max(1.0, abs(value.value)))
        if not abs(now[value.name] - value.value) <= limit:
            told.append(f"{value.name}: recorded {value.value:.4f}, now {now[value.name]:.4f}, allowed ± {limit:.4f}")
    return told
