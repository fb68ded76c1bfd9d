"""The grids of SPQ: their cells, and a tiny cell of each kind, trained and judged."""

import math
from dataclasses import asdict

import pytest
import torch
from torch.nn.functional import normalize

from retrieval_lib.evaluation import InnerProduct, Relevance, evaluate
from retrieval_lib.experiments import Job, read_results, spq, spq_long, spq_trials
from retrieval_lib.experiments.budgets import TINY
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.methods.base import describe
from retrieval_lib.methods.spq import SPQSettings

NAMES = ("spq-bits", "spq-temperature", "spq-variants", "spq-joint", "spq-views")


def cells(name, digits):
    return GRIDS[name].cells("quick", digits)


def job_of(cell, digits, **more):
    return Job(cell, digits, cell.split(digits), "quick", **more)


@pytest.mark.parametrize("name", NAMES)
def test_three_seeds_of_settings_that_spq_knows_and_no_two_are_the_same(digits, name):
    made = cells(name, digits)
    settings = [str(asdict(spq.settings_of(cell))) for cell in made]
    assert len({(told, cell.seed) for told, cell in zip(settings, made, strict=True)}) == len(made)
    assert {cell.seed for cell in made} == {0, 1, 2} and len(set(settings)) * 3 == len(made)


def test_each_view_lacks_what_its_name_says():
    for name, view in spq.VIEWS.items():
        if name.startswith("without "):
            change = name.removeprefix("without ")
            assert getattr(view, change) == 0 < getattr(spq.SIMCLR, change)
    nothing = spq.VIEWS["none"]
    assert nothing.crop == nothing.flip == nothing.jitter == nothing.grey == nothing.blur == nothing.shift == 0
    assert set(spq.APART) == set(spq.VIEWS) - {"gentle", "mild", "small images"}


def test_a_tiny_cell_is_judged_in_all_its_ways(digits):
    values = GRIDS["spq-bits"].run(job_of(cells("spq-bits", digits)[1], digits))
    named = {value.name: value.value for value in values}
    assert len(named) == 4 + 5 + 2 + 1 + 2 * (1 + spq.EVALUATIONS)
    assert len(GRIDS["spq-views"].run(job_of(cells("spq-views", digits)[0], digits))) == 2 + 2 + 1 + 2 * (
        1 + spq.EVALUATIONS
    )
    assert all(math.isfinite(value) for value in named.values())
    last = max(int(name.split("step ")[1].split(":")[0]) for name in named if "step" in name)
    assert (
        named[f"validation, step {last}: mAP@1000, divisor retrieved, ties expected"]
        == (named["validation: mAP@1000, divisor retrieved, ties expected"])
    )
    assert all(0 < value <= 1 for name, value in named.items() if "mAP" in name)
    assert 1 <= named["test: perplexity, least codebook"] <= named["test: perplexity, mean over codebooks"] <= 16


def test_plain_contrast_is_judged_by_codebooks_fitted_afterwards(digits, monkeypatch):
    fitted = []
    monkeypatch.setattr(spq, "fit_codebooks", lambda method, *_: fitted.append(method.settings.assignment))
    cell = next(c for c in cells("spq-variants", digits) if c.settings.get("assignment") == "none")
    named = {value.name: value.value for value in GRIDS["spq-variants"].run(job_of(cell, digits))}
    assert 0 < named["test: mAP@1000, divisor retrieved, ties expected"] <= 1
    assert fitted == ["none"]
    judged = [name for name in named if name.startswith("validation")]
    assert judged == ["validation: mAP@1000, divisor retrieved, ties expected"]


def test_joint_and_separate_learning_share_the_long_run_s_view_and_temperature(digits):
    told = [spq.settings_of(cell) for cell in cells("spq-joint", digits)[:3]]
    assert [settings.assignment for settings in told] == ["soft", "none", "none"]
    assert [settings.temperature for settings in told] == [spq_long.CHOSEN["temperature"]] * 2 + [0.2]
    assert {settings.view for settings in told} == {spq.VIEWS[spq_long.CHOSEN["view"]]}
    named = {v.name: v.value for v in GRIDS["spq-joint"].run(job_of(cells("spq-joint", digits)[1], digits))}
    assert all(0 < value <= 1 for name, value in named.items() if "mAP" in name)
    assert sum("mAP without a code" in name for name in named) == 2  # as they are, and of norm 1


def test_where_views_are_compared_batch_statistics_are_of_images_as_they_are(digits, monkeypatch):
    settled = []
    monkeypatch.setattr(spq, "settle_batch_statistics", lambda network, images: settled.append(len(images)))
    for name in ("spq-views", "spq-bits"):
        cell = cells(name, digits)[0]
        GRIDS[name].run(job_of(cell, digits))
    assert settled == [len(cells("spq-views", digits)[0].split(digits).train)]


def test_fitted_codebooks_are_nearer_to_the_descriptors(digits):
    cell = cells("spq-bits", digits)[1]
    split = cell.split(digits)
    method = spq.build(digits, split, TINY, SPQSettings(bits=32), 0)
    x = describe(method, digits.images[split.train])
    before = method.quantizer().error(x)
    spq.fit_codebooks(method, digits, split)
    assert method.quantizer().error(x) < before / 2


def test_what_stands_beside_the_codes_is_what_its_name_says(digits):
    cell = cells("spq-bits", digits)[1]
    split = cell.split(digits)
    search = split.searches["test"]
    relevance = Relevance(digits.labels[search.query], digits.labels[search.database])
    method, plain = (
        spq.build(digits, split, TINY, SPQSettings(bits=32, search=name), 0)
        for name in ("squared Euclidean", "Euclidean")
    )
    found = {value.metric: value.value for value in spq.judge_search(method, digits, split)}
    query, database = (describe(plain, digits.images[part]) for part in (search.query, search.database))
    by_plain = evaluate(plain.distances(query, plain.encode(database)), relevance, k=1000)
    assert found["mAP by plain distances"] == pytest.approx(by_plain.mean_average_precision)
    order = torch.cdist(query, database)
    by_sorting = []
    for q in range(20):
        right = digits.labels[search.database[order[q].argsort()]] == digits.labels[search.query[q]]
        ranks = right.nonzero()[:, 0] + 1
        by_sorting.append(float((torch.arange(1, len(ranks) + 1) / ranks).mean()))
    whole = evaluate(
        spq.Euclidean(query[:20], database), Relevance(relevance.query_labels[:20], relevance.database_labels)
    )
    assert whole.mean_average_precision == pytest.approx(sum(by_sorting) / 20, abs=1e-4)


def test_trials_see_equally_many_images_and_are_judged_on_the_validation_part_alone(digits, monkeypatch):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append((method.settings, settings))
        return Scored()

    monkeypatch.setattr(spq_trials, "train", train)
    for cell in cells("spq-trials", digits):
        values = GRIDS["spq-trials"].run(job_of(cell, digits))
        assert [value.search for value in values] == ["validation"]
    got = [(m.view, s.batch_size, s.learning_rate, m.temperature) for m, s in seen]
    assert got == [(spq.VIEWS[view], *rest) for view, *rest in spq_trials.TRIALS]
    images = [s.steps * s.batch_size for _, s in seen]
    assert max(images) - min(images) < max(s.batch_size for _, s in seen)


class Scored:
    scores = (0.5,)


def test_the_chosen_trial_is_the_one_with_the_best_recorded_score(repository, monkeypatch):
    monkeypatch.setenv("RETRIEVAL_ROOT", str(repository))
    trials = read_results("spq-trials", dataset="cifar10")
    assert len(trials) == len(spq_trials.TRIALS)
    best = trials.loc[trials.value.idxmax()]
    assert {"view": best["view"], "temperature": best["temperature"]} == spq.CHOSEN


def test_with_descriptors_of_norm_1_only_directions_count(digits):
    cell = cells("spq-bits", digits)[1]
    split = cell.split(digits)
    method = spq.build(digits, split, TINY, SPQSettings(bits=32), 0)
    search = split.searches["test"]
    query, database = (describe(method, digits.images[part]) for part in (search.query, search.database))
    relevance = Relevance(digits.labels[search.query], digits.labels[search.database])
    unit = evaluate(InnerProduct(normalize(query), normalize(database)), relevance, k=1000)
    found = {value.metric: value.value for value in spq.judge_search(method, digits, split)}
    assert found["mAP without a code, of norm 1"] == pytest.approx(unit.mean_average_precision, abs=1e-5)


def test_every_sharpness_is_tried_under_the_published_contrast(digits):
    told = {(c.settings["sharpness"], c.settings["temperature"]) for c in cells("spq-temperature", digits)}
    assert told == {(sharpness, 0.5) for sharpness in (0.2, 1.0, 2.0, 5.0, 10.0, 20.0)}
