"""The grids of DHD: their cells, and a tiny cell of each, trained and judged."""

import math
from dataclasses import asdict

import pytest
import torch

from retrieval_lib.augmentation import DHD_STRONG, RandomView, settings_for
from retrieval_lib.experiments import Job, dhd
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
    assert searches.count("test") == 4 and searches.count("untrained") == 2 and searches.count("validation") == 2
    assert all(0 < value.value <= 1 and math.isfinite(value.value) for value in values)


def test_trials_see_equally_many_images_and_are_judged_on_the_validation_part_alone(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(dhd, "train", lambda method, images, split, settings, **_: seen.append(settings) or Scored())
    trials = cells("dhd-trials", digits)
    assert len(trials) == len(dhd.TRIALS)
    for cell in trials:
        values = GRIDS["dhd-trials"].run(Job(cell, digits, cell.split(digits), "quick"))
        assert [value.search for value in values] == ["validation"]
    assert {(s.batch_size, s.learning_rate) for s in seen} == set(dhd.TRIALS)
    images = [s.steps * s.batch_size for s in seen]
    assert max(images) - min(images) < max(s.batch_size for s in seen)


class Scored:
    scores = (0.5,)


def test_turned_bits_compares_each_image_with_its_own_strong_view(digits):
    class Brightness:
        """A code that a crop changes and nothing else: whether each row is brighter than the image's mean."""

        training = False

        def parameters(self):
            return iter([torch.zeros(1)])

        def eval(self):
            return self

        def train(self, mode):
            return self

        def descriptors(self, images):
            return images.mean(3).squeeze(1) - images.mean((1, 2, 3)).unsqueeze(1)

        def encode(self, descriptors):
            return descriptors > 0

    positions = torch.arange(20)
    turned = dhd.turned_bits(Brightness(), digits, positions)
    view = RandomView(settings_for(DHD_STRONG, "mnist", 1), (28, 28))
    strong = view(digits.images[positions], 0)
    code = Brightness()
    for i, image in enumerate(digits.images[positions].float() / 255):
        own = code.encode(code.descriptors(image[None]))[0]
        seen = code.encode(code.descriptors((strong[i : i + 1] * 255).round() / 255))[0]
        assert turned[i] == pytest.approx(sum(a != b for a, b in zip(own.tolist(), seen.tolist(), strict=True)) / 28)
    assert 0 < turned.mean() < 1
