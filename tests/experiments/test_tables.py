"""Tables of results: nothing is mixed that cannot be compared."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retrieval_lib.experiments import over_seeds, read_results
from retrieval_lib.experiments.record import record_grid
from retrieval_lib.experiments.records import append_record, read_records, results_file
from retrieval_lib.experiments.table import COLUMNS


@pytest.fixture
def recorded(hashes):
    record_grid(hashes.grid())
    return read_records(results_file("hash"))


def headline(table):
    return table[(table.divisor == "retrieved") & (table.ties == "expected")]


def test_a_row_for_each_value(recorded):
    table = read_results("hash", profile="quick")
    assert len(table) == 3 * 4 and tuple(table.columns) == COLUMNS
    for record in recorded:
        for value in record.values:
            row = table[
                (table.seed == record.cell.seed) & (table.divisor == value.divisor) & (table.ties == value.ties)
            ]
            assert row.value.tolist() == [value.value]
            assert (row.k == 100).all() and (row.bits == 8).all() and (row.search == "test").all()


def test_another_profile_is_never_in_the_table(recorded):
    other = dataclasses.replace(recorded[0], profile="book")
    append_record(results_file("hash"), other)
    assert set(read_results("hash", profile="quick").profile) == {"quick"}
    assert len(read_results("hash")) == 4, "book, where nothing is said"


@pytest.mark.parametrize(
    "change", [{"source": "a copy", "content_hash": "1"}, {"dataset": "cifar10", "content_hash": "2"}]
)
def test_sources_are_not_mixed_unless_asked_for(recorded, change):
    append_record(results_file("hash"), dataclasses.replace(recorded[0], split_hash="x", **change))
    with pytest.raises(ValueError, match=r"cannot be compared: .*mnist: .*mix_sources=True"):
        read_results("hash", profile="quick")
    assert len(read_results("hash", profile="quick", mix_sources=True)) == 4 * 4
    if "dataset" in change:
        assert len(read_results("hash", profile="quick", dataset="mnist")) == 3 * 4


def test_nothing_recorded_names_the_command(hashes):
    with pytest.raises(FileNotFoundError, match=r"RETRIEVAL_PROFILE=book python -m retrieval_lib record hash"):
        read_results("hash")


def test_settings_become_columns(recorded):
    cell = dataclasses.replace(recorded[0].cell, seed=9, settings={"alpha": 20}, split_settings={"labels": 50})
    append_record(results_file("hash"), dataclasses.replace(recorded[0], cell=cell))
    table = read_results("hash", profile="quick")
    assert table[table.seed == 9].alpha.tolist() == [20] * 4 and table[table.seed == 9].labels.tolist() == [50] * 4
    assert table[table.seed != 9].alpha.isna().all()


def test_a_setting_called_like_a_column_is_refused(recorded):
    cell = dataclasses.replace(recorded[0].cell, seed=9, settings={"seconds": 20})
    append_record(results_file("hash"), dataclasses.replace(recorded[0], cell=cell))
    with pytest.raises(ValueError, match="called like columns: seconds"):
        read_results("hash", profile="quick")


def test_over_seeds_is_the_t_interval_of_the_mean(recorded):
    values = headline(read_results("hash", profile="quick")).value.to_numpy()
    (row,) = over_seeds(headline(read_results("hash", profile="quick")), ["method", "bits"]).to_dict("records")
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert row["seeds"] == 3 and np.allclose([row["mean"], row["low"], row["high"]], [values.mean(), low, high])


def test_one_seed_has_no_interval():
    table = pd.DataFrame({"method": ["a"], "seed": [0], "value": [0.5], "bits": pd.array([pd.NA], "Int64")})
    (row,) = over_seeds(table, ["method", "bits"]).to_dict("records")
    assert row["mean"] == 0.5 and np.isnan(row["low"]) and np.isnan(row["high"]) and row["seeds"] == 1


def test_two_metrics_in_one_mean_are_refused(recorded):
    with pytest.raises(ValueError, match=r"same seed more than once.*differ in .*divisor"):
        over_seeds(read_results("hash", profile="quick"), ["method", "bits"])
