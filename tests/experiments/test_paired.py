"""Differences by seed: against scipy, on shuffled rows, and refused where nothing can be paired."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retrieval_lib.experiments.paired import differences


@pytest.fixture
def table():
    draws = np.random.default_rng(0)
    luck = draws.normal(size=5)
    rows = [
        {"variant": v, "seed": s, "value": luck[s] + shift + 0.01 * draws.normal()}
        for v, shift in (("whole", 0.0), ("worse", -0.5), ("same", 0.0))
        for s in range(5)
    ]
    return pd.DataFrame(rows)


def values(table, variant):
    return table[table.variant == variant].sort_values("seed").value.to_numpy()


def test_the_interval_is_that_of_a_paired_t_test(table):
    found = differences(table.sample(frac=1, random_state=0), "variant", "whole").set_index("variant")
    assert set(found.index) == {"worse", "same"} and (found.seeds == 5).all()
    for name in found.index:
        apart = values(table, name) - values(table, "whole")
        low, high = stats.t.interval(0.95, 4, apart.mean(), stats.sem(apart))
        assert np.allclose(found.loc[name, ["mean", "low", "high"]].astype(float), [apart.mean(), low, high])
    assert found.loc["worse", "high"] < 0


def test_only_shared_seeds_count(table):
    short = table.drop(table[(table.variant == "worse") & (table.seed == 4)].index)
    found = differences(short, "variant", "whole").set_index("variant")
    assert found.seeds.to_dict() == {"worse": 4, "same": 5}
    assert found.loc["worse", "mean"] == pytest.approx((values(short, "worse") - values(table, "whole")[:4]).mean())


def test_what_cannot_be_paired_is_refused(table):
    with pytest.raises(ValueError, match="no variant 'other'; there are whole, worse, same"):
        differences(table, "variant", "other")
    with pytest.raises(ValueError, match="'whole' has the seed 0 twice"):
        differences(pd.concat([table, table.head(1)]), "variant", "whole")
    with pytest.raises(ValueError, match="'same' shares 1 seeds"):
        differences(table[(table.variant != "same") | (table.seed == 0)], "variant", "whole")
