"""The grids of DHD: their cells, and a tiny cell of each, trained and judged."""

import math
from dataclasses import asdict

import pytest

from retrieval_lib.experiments import Job
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.dhd import TERMS
from retrieval_lib.methods.dhd import DHDSettings


def cells(name, digits):
    return GRIDS[name].cells("quick", digits)


def test_variants_and_seeds(digits):
    bits = {(cell.bits, cell.seed) for cell in cells("dhd-bits", digits)}
    assert bits == {(b, s) for b in (16, 32, 64) for s in range(3)}
    terms = {(cell.variant, cell.seed) for cell in cells("dhd-terms", digits)}
    assert terms == {(name, s) for name in TERMS for s in range(5)}
    plugins = {(cell.method, cell.variant, cell.seed) for cell in cells("dhd-plugins", digits)}
    assert len(plugins) == 3 * 3 * 5


@pytest.mark.parametrize("name", ["dhd-bits", "dhd-terms", "dhd-plugins"])
def test_every_cell_has_settings_that_dhd_knows_and_no_two_are_the_same(digits, name):
    made = cells(name, digits)
    settings = [str(asdict(DHDSettings(bits=cell.bits, **cell.settings))) + str(cell.seed) for cell in made]
    assert len(set(settings)) == len(made)


@pytest.mark.parametrize("name", ["dhd-bits", "dhd-plugins"])
def test_a_tiny_cell_is_trained_and_judged_on_both_databases(digits, name):
    cell = cells(name, digits)[0]
    values = GRIDS[name].run(Job(cell, digits, cell.split(digits), "quick"))
    searches = [value.search for value in values]
    assert searches.count("test") == 4 and searches.count("untrained") == 2 and searches.count("validation") == 1
    assert all(0 < value.value <= 1 and math.isfinite(value.value) for value in values)
