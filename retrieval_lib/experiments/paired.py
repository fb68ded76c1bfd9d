"""Recorded results compared seed by seed: what a change does, with the luck of the seed taken out."""

import pandas as pd

from retrieval_lib.evaluation import paired_difference


def differences(table: pd.DataFrame, by: str, reference: str) -> pd.DataFrame:
    """Each group minus the reference, paired by seed: the mean and its 95 % t-interval.

    Args:
        table: as `retrieval_lib.experiments.read_results` gives it, one metric only.
        by: the column that names the groups, for instance `variant`.
        reference: the group that is subtracted from the others.

    Returns:
        A row for each other group with `by`, mean, low, high, and seeds (how many both have).

    Raises:
        ValueError: there is no such group, a group has a seed twice, or shares fewer than two with the reference.
    """
    if reference not in set(table[by]):
        raise ValueError(f"There is no {by} {reference!r}; there are {', '.join(map(str, table[by].unique()))}.")
    if (twice := table[table.duplicated([by, "seed"])]).shape[0]:
        raise ValueError(
            f"{twice[by].iloc[0]!r} has the seed {twice.seed.iloc[0]} twice: choose one metric and search."
        )
    wide = table.pivot(index="seed", columns=by, values="value")
    rows = []
    for group in table[by].unique():
        if group == reference:
            continue
        both = wide[[group, reference]].dropna()
        if len(both) < 2:
            raise ValueError(f"{group!r} shares {len(both)} seeds with {reference!r}; an interval needs two.")
        found = paired_difference(both[group].to_numpy(), both[reference].to_numpy())
        rows.append({by: group, "mean": found.mean, "low": found.low, "high": found.high, "seeds": len(both)})
    return pd.DataFrame(rows)


def verdict(row: pd.Series) -> str:
    """What an interval says of the sign of a difference: `more`, `less` or `no measurable difference`.

    >>> verdict(pd.Series({"low": -0.1, "high": 0.2}))
    'no measurable difference'
    """
    return "more" if row["low"] > 0 else "less" if row["high"] < 0 else "no measurable difference"


def spelled(row: pd.Series) -> str:
    """A difference with its interval, in words.

    >>> spelled(pd.Series({"mean": -0.0031, "low": -0.0132, "high": 0.0069}))
    '-0.003 (-0.013 to +0.007)'
    """
    return f"{row['mean']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def told(table: pd.DataFrame, by: str) -> str:
    """All rows of `differences` in words.

    >>> told(pd.DataFrame({"variant": ["no crop"], "mean": [-0.02], "low": [-0.03], "high": [-0.01]}), "variant")
    'no crop -0.020 (-0.030 to -0.010), less'
    """
    return "; ".join(f"{row[by]} {spelled(row)}, {verdict(row)}" for _, row in table.iterrows())
