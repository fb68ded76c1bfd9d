"""Categories left out: nothing of them is learned from, and they search among themselves."""

import torch

from retrieval_lib.experiments import Job, gpq_unseen
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.gpq_unseen import ALL_LEARNED, FITTED, LEFT_OUT, TRAINED, without_categories


def cells(digits):
    return GRIDS["gpq-unseen"].cells("quick", digits)


def test_no_image_of_a_category_left_out_is_learned_from(digits):
    whole = cells(digits)[0].split(digits)
    images, split = without_categories(digits, whole, seed=1)
    kept = len(digits.class_names) - LEFT_OUT
    assert len(images.class_names) == kept and torch.equal(images.images, digits.images)
    for part in (split.train, split.unlabelled, split.searches["seen"].query, split.searches["seen"].database):
        assert len(part) and int(images.labels[part].max()) == kept - 1
    for part in (split.searches["unseen"].query, split.searches["unseen"].database):
        assert sorted(images.labels[part].unique().tolist()) == list(range(kept, kept + LEFT_OUT))
    both = torch.cat([split.searches[name].query for name in ("seen", "unseen")])
    assert torch.equal(both.sort().values, whole.searches["test"].query.sort().values)


def test_labels_are_renamed_and_never_merged(digits):
    images, _ = without_categories(digits, cells(digits)[0].split(digits), seed=2)
    for c in range(10):
        mine = images.labels == c
        old = digits.labels[mine].unique()
        assert len(old) == 1 and int(mine.sum()) == int((digits.labels == old).sum())
        if c < len(images.class_names):
            assert images.class_names[c] == digits.class_names[int(old)]


def test_each_seed_leaves_out_others(digits):
    split = cells(digits)[0].split(digits)
    named = {frozenset(without_categories(digits, split, seed)[0].class_names) for seed in range(3)}
    assert len(named) == 3


def test_tiny_cells_are_judged_twice(digits):
    made = {cell.variant: cell for cell in cells(digits)}
    assert set(made) == {*TRAINED, *FITTED}
    for cell in made.values():
        values = GRIDS["gpq-unseen"].run(Job(cell, digits, cell.split(digits), "quick"))
        assert [value.search for value in values] == ["seen", "unseen"]
        assert all(0.1 < value.value <= 1 and value.k is None for value in values)
    assert {cell.seed for cell in cells(digits)} == {0, 1, 2}


def test_only_one_of_the_trainings_learns_all_categories(digits, monkeypatch):
    seen = {}

    def trained(method, images, split, settings, **_):
        parts = torch.cat([split.train, split.unlabelled])
        seen[tried] = (len(images.class_names), len(digits.labels[parts].unique()), settings.steps)

    monkeypatch.setattr(gpq_unseen, "train", trained)
    monkeypatch.setattr(gpq_unseen, "_judged", lambda *_: [])
    for cell in cells(digits)[: len(TRAINED)]:
        tried = cell.variant
        GRIDS["gpq-unseen"].run(Job(cell, digits, cell.split(digits), "quick"))
    steps = seen["GPQ"][2]
    assert seen == {
        "GPQ": (7, 7, steps), "labels alone, equal views": (7, 7, 2 * steps), ALL_LEARNED: (10, 10, steps)
    }  # fmt: skip
