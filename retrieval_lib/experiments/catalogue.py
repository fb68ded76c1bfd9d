"""All recorded experiments by name."""

from retrieval_lib.experiments.grid import Grid
from retrieval_lib.experiments.lsh_pixels import LSH_PIXELS

GRIDS: dict[str, Grid] = {grid.name: grid for grid in (LSH_PIXELS,)}
