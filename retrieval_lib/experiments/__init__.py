"""Recorded experiments: grids of runs, kept as lines of JSON, read as tables, and checked again from the data.

Here is what the chapters read and the grids are made of; running them is in `record`, `verify` and `listing`. All grids
by name are in `retrieval_lib.experiments.catalogue`: importing it imports every method.
"""

from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.records import kept_weights
from retrieval_lib.experiments.table import over_seeds, read_results
from retrieval_lib.experiments.values import Value, judge

__all__ = [
    "Cell",
    "Grid",
    "Job",
    "Value",
    "judge",
    "kept_weights",
    "over_seeds",
    "read_results",
]
