"""All recorded experiments by name."""

from retrieval_lib.experiments.dhd import DHD_BITS, DHD_PLUGINS, DHD_TERMS, DHD_TRIALS
from retrieval_lib.experiments.dhd_both_ways import DHD_BOTH_WAYS
from retrieval_lib.experiments.dhd_long import DHD_LONG, DHD_LONG_SECOND, DHD_LONG_TRIALS
from retrieval_lib.experiments.from_spq import (
    FROM_SPQ,
    FROM_SPQ_LONGER,
    FROM_SPQ_LONGER_TRIALS,
    FROM_SPQ_SHORTER,
    FROM_SPQ_TRIALS,
)
from retrieval_lib.experiments.gpq import GPQ_BITS, GPQ_LABELS, GPQ_LIVE, GPQ_TRIALS
from retrieval_lib.experiments.gpq_long import GPQ_LONG, GPQ_LONG_SEEDS, GPQ_LONG_TRIALS, GPQ_LONGER
from retrieval_lib.experiments.gpq_pretrained import GPQ_PRETRAINED, GPQ_PRETRAINED_TRIALS
from retrieval_lib.experiments.gpq_terms import GPQ_TERMS
from retrieval_lib.experiments.gpq_unseen import GPQ_UNSEEN
from retrieval_lib.experiments.grid import Grid
from retrieval_lib.experiments.lsh_pixels import LSH_PIXELS
from retrieval_lib.experiments.sgh import SGH_BITS, SGH_LONG, SGH_METHODS, SGH_TERMS, SGH_TRIALS, SGH_VIEWS
from retrieval_lib.experiments.shallow_codes import SHALLOW_CODES, SHALLOW_LARGE
from retrieval_lib.experiments.spq import SPQ_BITS, SPQ_JOINT, SPQ_TEMPERATURE, SPQ_VARIANTS, SPQ_VIEWS
from retrieval_lib.experiments.spq_after import SPQ_LONG_AFTER, SPQ_SIZES
from retrieval_lib.experiments.spq_collapse import SPQ_COLLAPSE
from retrieval_lib.experiments.spq_long import SPQ_LONG
from retrieval_lib.experiments.spq_trials import SPQ_LONG_TRIALS, SPQ_TRIALS

_ALL = (
    LSH_PIXELS, SHALLOW_CODES, SHALLOW_LARGE,
    SGH_TRIALS, SGH_METHODS, SGH_TERMS, SGH_VIEWS, SGH_BITS, SGH_LONG,
    DHD_TRIALS, DHD_BITS, DHD_TERMS, DHD_PLUGINS, DHD_LONG, DHD_LONG_TRIALS, DHD_LONG_SECOND, DHD_BOTH_WAYS,
    GPQ_TRIALS, GPQ_LIVE, GPQ_LABELS, GPQ_TERMS, GPQ_BITS, GPQ_LONG_TRIALS, GPQ_LONGER, GPQ_LONG, GPQ_LONG_SEEDS, GPQ_PRETRAINED_TRIALS, GPQ_PRETRAINED, GPQ_UNSEEN,
    SPQ_TRIALS, SPQ_BITS, SPQ_TEMPERATURE, SPQ_COLLAPSE, SPQ_VARIANTS, SPQ_JOINT, SPQ_VIEWS, SPQ_LONG_TRIALS, SPQ_LONG, SPQ_SIZES, SPQ_LONG_AFTER,
    FROM_SPQ_TRIALS, FROM_SPQ, FROM_SPQ_LONGER_TRIALS, FROM_SPQ_LONGER, FROM_SPQ_SHORTER,
)  # fmt: skip
GRIDS: dict[str, Grid] = {grid.name: grid for grid in _ALL}
