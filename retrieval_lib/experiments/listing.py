"""What can be recorded here, and how much of it is."""

from collections.abc import Iterable

from retrieval_lib.data import ImageSet, choose
from retrieval_lib.experiments.grid import Grid
from retrieval_lib.experiments.record import estimate, plan, unrecorded
from retrieval_lib.experiments.records import read_records, results_file
from retrieval_lib.profiles import current_profile
from retrieval_lib.progress import format_seconds


def list_grids(grids: Iterable[Grid]) -> None:
    """Print each grid with its cells done and left on this machine's images, and the time that they will take.

    Raises:
        ValueError: a file of records is damaged.
    """
    profile = current_profile()
    chosen: dict[str, ImageSet] = {}
    for grid in grids:
        if grid.kind not in chosen:
            choice = choose(grid.kind)
            chosen[grid.kind] = choice.images
            print(f"Images ({grid.kind}): {choice.images.name}, {choice.images.source}. {choice.reason}")
        known = read_records(results_file(grid.name))
        images = chosen[grid.kind]
        planned = plan(grid, images, profile)
        left = [cell for cell, _ in unrecorded(planned, known, profile)]
        time = f"about {format_seconds(estimate(grid, left, known, images, profile))} to go" if left else "complete"
        print(f"{grid.name}: {grid.title}")
        print(f"    profile {profile}: {len(planned) - len(left)} cells done, {len(left)} left, {time}")
