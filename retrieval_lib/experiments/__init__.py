"""Recorded experiments: grids of runs, kept as lines of JSON, read as tables, and checked again from the data.

All grids by name are in `retrieval_lib.experiments.catalogue`: importing it imports every method.
"""

from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.listing import list_grids
from retrieval_lib.experiments.record import record_grid
from retrieval_lib.experiments.table import over_seeds, read_results
from retrieval_lib.experiments.values import Value, judge
from retrieval_lib.experiments.verify import Report, verify

__all__ = [
    "Cell",
    "Grid",
    "Job",
    "Report",
    "Value",
    "judge",
    "list_grids",
    "over_seeds",
    "read_results",
    "record_grid",
    "verify",
]
