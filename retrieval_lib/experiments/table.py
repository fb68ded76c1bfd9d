"""Recorded results as tables."""

import math
from collections.abc import Sequence

import pandas as pd

from retrieval_lib.evaluation import mean_interval
from retrieval_lib.experiments.grid import Cell
from retrieval_lib.experiments.records import read_records, results_file

COLUMNS = (
    "method", "variant", "bits", "seed", "protocol", "search", "metric", "k", "divisor", "ties", "value", "dataset",
    "source", "split_hash", "profile", "seconds", "device", "checkpoint",
)  # fmt: skip


def setting_columns(cell: Cell) -> dict:
    """What a cell's settings, and those of its split, add to the columns of a table.

    Raises:
        ValueError: a setting is called like a column that every table has.
    """
    settings = {**cell.split_settings, **cell.settings}
    if taken := sorted(set(settings) & set(COLUMNS)):
        raise ValueError(f"{cell.label} has settings that are called like columns: {', '.join(taken)}; rename them.")
    return settings


def read_results(
    name: str, *, profile: str = "book", dataset: str | None = None, mix_sources: bool = False
) -> pd.DataFrame:
    """The recorded values of a grid, a row each.

    Args:
        name: of the grid.
        profile: whose records are wanted; different profiles never stand in one table.
        dataset: whose records are wanted; None for all.
        mix_sources: whether records of different images may stand in one table. They are not comparable.

    Returns:
        Columns method, variant, bits, seed, protocol, search, metric, k, divisor, ties, value, dataset, source,
        split_hash, profile, seconds (of the whole cell), device, checkpoint, and one for each setting.

    Raises:
        FileNotFoundError: nothing of this kind is recorded.
        ValueError: a line cannot be read, the records are of different images, or a setting is called like a column.
    """
    path = results_file(name)
    records = [r for r in read_records(path) if r.profile == profile and dataset in (None, r.dataset)]
    if not records:
        wanted = f"profile {profile}" + (f", data set {dataset}" if dataset else "")
        raise FileNotFoundError(
            f"{path} has no records ({wanted}). To record them: RETRIEVAL_PROFILE={profile} "
            f"python -m retrieval_lib record {name}"
        )
    sources = sorted({f"{r.dataset}: {r.source} ({r.content_hash[:8]})" for r in records})
    if len(sources) > 1 and not mix_sources:
        raise ValueError(
            f"{path} has records of different images, whose values cannot be compared: {'; '.join(sources)}. "
            "Name one data set (dataset=...), or ask for all of them (mix_sources=True)."
        )
    rows = []
    for record in records:
        cell = record.cell
        shared = {
            "dataset": record.dataset, "source": record.source, "split_hash": record.split_hash,
            "profile": record.profile, "seconds": record.seconds, "device": record.device,
            "checkpoint": cell.checkpoint,
        }  # fmt: skip
        for value in record.values:
            row = {"method": cell.method, "variant": cell.variant, "bits": cell.bits, "seed": cell.seed}
            row |= {"protocol": cell.protocol, "search": value.search, "metric": value.metric, "k": value.k}
            row |= {"divisor": value.divisor, "ties": value.ties, "value": value.value} | shared
            rows.append(row | setting_columns(cell))
    return pd.DataFrame(rows).astype({"bits": "Int64", "k": "Int64"})


def over_seeds(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % t-interval of the mean over seeds.

    Args:
        table: as `read_results` gives it, one metric only.
        by: the columns whose values tell groups apart, for instance `["method", "bits"]`.

    Returns:
        One row for each group, with the columns of `by`, then mean, low, high and seeds (how many). low and high are
        NaN where there is one seed only.

    Raises:
        ValueError: a group has a seed twice: `by`, or the choice of a metric, leaves something out.
    """
    rows = []
    for group, part in table.groupby(list(by), sort=False, dropna=False):
        if part["seed"].duplicated().any():
            varied = [c for c in part.columns if c not in (*by, "seed", "value", "seconds") and part[c].nunique() > 1]
            raise ValueError(
                f"{dict(zip(by, group, strict=True))} has the same seed more than once. The rows differ in "
                f"{', '.join(varied) or 'nothing'}: choose one, or name it in `by`."
            )
        row = dict(zip(by, group, strict=True))
        if len(part) > 1:
            interval = mean_interval(part["value"].to_numpy())
            row |= {"mean": interval.mean, "low": interval.low, "high": interval.high}
        else:
            row |= {"mean": float(part["value"].iloc[0]), "low": math.nan, "high": math.nan}
        rows.append(row | {"seeds": len(part)})
    return pd.DataFrame(rows)
