"""GPQ and SPQ learn on the embedded digits: more than their untrained selves know, and PQ fitted to these.

Each floor is the mean of the seeds 0 to 9 less four of their deviations, measured with the settings below.
"""

import pytest

from retrieval_lib.evaluation import ADC, Relevance, evaluate
from retrieval_lib.experiments import gpq, spq
from retrieval_lib.experiments.budgets import Budget
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.gpq import GPQSettings
from retrieval_lib.methods.spq import SPQSettings
from retrieval_lib.quantization import fit_pq
from retrieval_lib.training import train

RUNS = {
    "gpq": (gpq, GPQSettings(bits=16), Budget((8, 16, 16), 120, batch_size=64)),
    "spq": (
        spq, SPQSettings(bits=16, view=spq.VIEWS["mild"], temperature=0.2), Budget((8, 16, 32), 500, batch_size=64)
    ),
}  # fmt: skip
# mAP over the whole ranking, more than: the untrained method's own codes; PQ on the untrained method's descriptors.
# Means and deviations: GPQ 0.488 (0.055) and 0.461 (0.054), SPQ 0.165 (0.024) and 0.125 (0.022).
FLOORS = {"gpq": (0.26, 0.24), "spq": (0.06, 0.03)}


def scores(method, images, split):
    """mAP by the method's own codes, and by PQ fitted to its descriptors."""
    search = split.searches["test"]
    query, database = (describe(method, images.images[part]) for part in (search.query, search.database))
    fitted = fit_pq(database, *method.codebooks.shape[:2])
    relevance = Relevance(images.labels[search.query], images.labels[search.database])
    ways = (
        method.distances(query, method.encode(database)),
        ADC(fitted.look_up_tables(query), fitted.encode(database)),
    )
    return [evaluate(distances, relevance, k=None).mean_average_precision for distances in ways]


@pytest.mark.parametrize("name", RUNS)
def test_training_beats_the_untrained_network_and_codes_fitted_to_it(digits, name):
    room, settings, budget = RUNS[name]
    (cell, *_) = room.GPQ_BITS.cells("quick", digits) if name == "gpq" else room.SPQ_BITS.cells("quick", digits)
    split = cell.split(digits)
    method = room.build(digits, split, budget, settings, seed=0)
    untrained = scores(method, digits, split)
    train(method, digits, split, budget.training(0, split), snapshot_count=5)
    own, _ = scores(method, digits, split)
    for before, floor in zip(untrained, FLOORS[name], strict=True):
        assert own - before > floor
