"""Are the records still true? Run some of them again from the data, and evaluate every checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from retrieval_lib.data import KNOWN, ImageSet, cache_folder, load
from retrieval_lib.evaluation import repeatability_limit
from retrieval_lib.experiments.grid import Grid, Job
from retrieval_lib.experiments.record import differences, plan, run_job
from retrieval_lib.experiments.records import Record, read_records, weights_of
from retrieval_lib.paths import checkpoints_folder, results_folder
from retrieval_lib.progress import format_seconds

FEWEST_SEEDS = 3  # two values say too little about how far a third may be away
NO_SUCH_CELL = "the grid has no such cell any more, or its split is drawn otherwise; record it again"


@dataclass
class Report:
    """What was found.

    Attributes:
        agreed: how many runs and checkpoints gave the recorded values.
        failed: what differs, or cannot be right.
        unverified: what could not be judged here, and why.
    """

    agreed: int = 0
    failed: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)

    def judge(self, what: str, told: Sequence[str]) -> None:
        """Count a run or a checkpoint, and say how it went."""
        if told:
            self.failed.append(f"{what}: {'; '.join(told)}")
            print(f"  DIFFERS  {self.failed[-1]}", flush=True)
        else:
            self.agreed += 1
            print(f"  agrees   {what}", flush=True)

    def skip(self, what: str) -> None:
        """Say what could not be judged."""
        self.unverified.append(what)
        print(f"  NOT VERIFIED  {what}", flush=True)


def verify(
    grids: Mapping[str, Grid], only: str | None = None, label: str | None = None, all_cells: bool = False
) -> Report:
    """Run recorded cells again, and evaluate every checkpoint from its file.

    A value agrees where it differs by no more than two single runs may: for trainings by the repeatability limit of the
    recorded seeds, t · s · √2; for checkpoints, and for what gives the same on every machine, by rounding alone.

    Of each recorded grid the cell that took the least time is run, for each set of images that it was recorded on. A
    training whose weights are kept takes hours: it runs only where `label` or `all_cells` asks for it.

    Args:
        grids: all grids by name.
        only: one grid to verify; None for all.
        label: the cell to run, as `Cell.label` names it, instead of the one that took the least time.
        all_cells: run every recorded cell.

    Raises:
        ValueError: a file of records is damaged, there are no records of `only`, or no cell has this label.
    """
    report = Report()
    files = {path.stem: path for path in sorted(results_folder().glob("[!.]*.jsonl"))}
    if only is not None and only not in files:
        raise ValueError(f"Nothing is recorded of {only!r}; recorded are: {', '.join(files) or 'no grids'}.")
    shipped = {path.name for path in checkpoints_folder().glob("[!.]*.safetensors")}  # hidden: a run is writing them
    for name, path in files.items():
        records = read_records(path)
        shipped -= {record.cell.checkpoint for record in records}
        if only not in (None, name):
            continue
        print(f"{name}: {len(records)} records")
        if name not in grids:
            report.judge(path.name, ["there is no grid of this name, so nobody can run it again"])
            continue
        if label is not None and label not in {record.cell.label for record in records}:
            known = "\n  ".join(record.cell.label for record in records)
            raise ValueError(f"{name} has no record of {label!r}; recorded are:\n  {known}")
        for group in _by_images(records):
            _verify_group(grids[name], group, report, label, all_cells)
    for orphan in sorted(shipped) if only is None else ():
        report.judge(f"checkpoints/{orphan}", ["no record says what it should give"])
    return report


def _by_images(records: Sequence[Record]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.content_hash, []).append(record)
    return list(groups.values())


def _verify_group(grid: Grid, records: list[Record], report: Report, label: str | None, all_cells: bool) -> None:
    first = records[0]
    try:
        images = _images_of(first)
    except (LookupError, FileNotFoundError) as error:
        report.skip(f"{grid.name}: {len(records)} records on {first.dataset}, {first.source}. {error}")
        return
    limits, jobs = _limits(grid, records), _jobs(grid, records, images)
    for record in records:
        if record.cell.checkpoint is not None:
            report.judge(
                f"checkpoint {record.cell.checkpoint}", _checkpoint_differences(grid, record, jobs.get(record.key))
            )
    for record in _to_run(records, label, all_cells):
        print(f"  running  {record.cell.label}: took {format_seconds(record.seconds)} on {record.device}", flush=True)
        told = _run_differences(grid, record, jobs.get(record.key), limits[record.key])
        if told and told != [NO_SUCH_CELL] and limits[record.key] is None:
            report.skip(
                f"{record.cell.label}: {'; '.join(told)}. Fewer than {FEWEST_SEEDS} seeds were recorded, so nobody knows "
                "how far a training may differ."
            )
        else:
            report.judge(record.cell.label, told)


def _to_run(records: Sequence[Record], label: str | None, all_cells: bool) -> list[Record]:
    if all_cells:
        return list(records)
    if label is not None:
        wanted = [record for record in records if record.cell.label == label]
    else:
        wanted = [record for record in records if record.cell.checkpoint is None]
    return [min(wanted, key=lambda record: record.seconds)] if wanted else []


def _images_of(record: Record) -> ImageSet:
    if record.dataset not in KNOWN:
        raise LookupError("These images are somebody's own folder.")
    images = load(record.dataset)
    if images.content_hash != record.content_hash:
        raise LookupError(f"Here {record.dataset} is another copy ({images.source}), with other pixels.")
    return images


def _limits(grid: Grid, records: Sequence[Record]) -> dict[str, dict[str, float] | None]:
    """For each record's key and each of its values, by how much a new run may differ.

    That is the repeatability limit of the seeds of the same variant: t · s · √2, for two single runs; nothing where the
    grid is repeatable. With fewer than three seeds nobody knows: None.
    """
    variants: dict[str, list[Record]] = {}
    for record in records:
        variants.setdefault(replace(record.cell, seed=0, split_seed=0).key("", record.profile), []).append(record)
    limits = {}
    for alike in variants.values():
        for record in alike:
            if grid.repeatable or len(alike) < FEWEST_SEEDS:
                limits[record.key] = {} if grid.repeatable else None
                continue
            limits[record.key] = {
                name: repeatability_limit([v.value for other in alike for v in other.values if v.name == name])
                for name in (value.name for value in record.values)
            }
    return limits


def _jobs(grid: Grid, records: Sequence[Record], images: ImageSet) -> dict[str, Job]:
    """The grid's cells as they are today, by key, under each profile that was recorded."""
    return {
        cell.key(split.hash, profile): Job(cell, images, split, profile)
        for profile in {record.profile for record in records}
        for cell, split in plan(grid, images, profile)
    }


def _checkpoint_differences(grid: Grid, record: Record, job: Job | None) -> list[str]:
    """Only rounding is allowed: nothing is drawn when weights are evaluated."""
    try:
        path = weights_of(record)
    except (FileNotFoundError, ValueError) as error:
        return [str(error)]
    if job is None:
        return [NO_SUCH_CELL]
    found = grid.evaluate_checkpoint(job, path)
    return differences(record.values, found, {})


def _run_differences(grid: Grid, record: Record, job: Job | None, limits: dict[str, float] | None) -> list[str]:
    if job is None:
        return [NO_SUCH_CELL]
    if job.cell.checkpoint is not None:
        state = cache_folder() / f"verify-{grid.name}-{record.key}.state"
        with TemporaryDirectory() as folder:  # the shipped weights stay as they are
            found = run_job(grid, replace(job, weights=Path(folder) / "weights.safetensors", state=state))
        state.unlink(missing_ok=True)
    else:
        found = run_job(grid, job)
    return differences(record.values, found.values, limits or {})
