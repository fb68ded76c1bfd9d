"""The splits: their sizes, and that what must be disjoint is."""

import pytest
import torch

from retrieval_lib.data import PROTOCOLS, Search, load, make_split, protocol_for
from retrieval_lib.data.splits import finish_split

#             test: query, database, then training, unlabelled, validation: query, database
SIZES = {
    "cifar10-10k-50k": (10_000, 50_000, 45_000, 0, 5_000, 45_000),
    "cifar10-1k-20k": (1_000, 20_000, 19_000, 0, 1_000, 19_000),
    "cifar10-1k-5k-54k": (1_000, 54_000, 4_500, 54_000, 500, 4_500),
    "cifar10-1k-5k-20k": (1_000, 20_000, 4_500, 20_000, 500, 4_500),
    "mnist-500-3500": (500, 3_500, 3_150, 0, 350, 3_150),
    "mnist-200-1k": (200, 1_000, 900, 0, 100, 900),
    "mnist-500-200-3500": (500, 3_500, 160, 3_500, 40, 160),
    "mnist-200-100-1k": (200, 1_000, 80, 1_000, 20, 80),
    "orl": (80, 320, 280, 0, 40, 280),
}


@pytest.fixture
def images_for(like_cifar10, faces):
    made = {"cifar10": like_cifar10, "lfw": faces}
    return lambda protocol: made.get(protocol.split("-")[0]) or load(protocol.split("-")[0])


def members(positions):
    assert positions.unique().numel() == positions.numel()
    return set(positions.tolist())


@pytest.mark.parametrize("protocol", SIZES)
def test_sizes_and_disjointness(images_for, protocol):
    images = images_for(protocol)
    split = make_split(images, protocol)
    test, validation = split.searches["test"], split.searches["validation"]
    parts = (test.query, test.database, split.train, split.unlabelled, validation.query, validation.database)
    assert tuple(map(len, parts)) == SIZES[protocol]
    query, database, train, unlabelled, held_out, searched = map(members, parts)
    assert query.isdisjoint(database | train | unlabelled | held_out)
    assert held_out.isdisjoint(searched | train | unlabelled) and train.isdisjoint(unlabelled)
    assert searched == train
    if unlabelled:
        assert unlabelled == database and database.isdisjoint(train | held_out)
    else:
        assert database == train | held_out
    per_class = torch.bincount(images.labels[test.query])
    assert (per_class == per_class[0]).all(), "as many queries of each class"


@pytest.mark.parametrize("protocol", ["cifar10-10k-50k", "cifar10-1k-20k", "mnist-500-3500", "mnist-200-1k"])
def test_the_untrained_database_was_never_trained_on(images_for, protocol):
    split = make_split(images_for(protocol), protocol)
    untrained = split.searches["untrained"]
    assert members(untrained.database).isdisjoint(members(split.train) | members(untrained.query))


@pytest.mark.parametrize("protocol", ["cifar10-10k-50k", "cifar10-1k-20k"])
def test_the_sets_own_parts_are_kept(like_cifar10, protocol):
    split = make_split(like_cifar10, protocol)
    assert like_cifar10.part[split.searches["test"].query].all()
    assert not like_cifar10.part[split.searches["test"].database].any() and not like_cifar10.part[split.train].any()


def test_faces(faces):
    split = make_split(faces, "lfw")
    test = split.searches["test"]
    assert torch.bincount(faces.labels[test.query]).tolist() == [2] * 60
    images = torch.bincount(faces.labels[torch.cat([test.query, test.database])])
    assert torch.equal(images, torch.bincount(faces.labels).clamp(max=40)), "at most 40 images a person"
    assert torch.bincount(faces.labels[split.searches["validation"].query]).tolist() == [1] * 60


@pytest.mark.parametrize(("name", "unseen", "validation"), [("lfw-unseen", 57, 20), ("orl-unseen", 10, 5)])
def test_unseen_people_are_never_trained_on(faces, name, unseen, validation):
    images = load("orl")
    if name == "lfw-unseen":
        repeated = torch.arange(217) % 60
        labels = torch.arange(217).repeat_interleave(8 + repeated % 5)
        images = type(faces)(**{**faces.__dict__, "labels": labels, "part": torch.zeros_like(labels),
                                "images": torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8),
                                "class_names": tuple(map(str, range(217)))})  # fmt: skip
    split = make_split(images, name)
    people = {key: set(images.labels[torch.cat([s.query, s.database])].tolist()) for key, s in split.searches.items()}
    trained = set(images.labels[split.train].tolist())
    assert len(people["unseen"]) == unseen and len(people["validation"]) == validation
    assert trained == people["test"] and len(trained) == len(images.class_names) - unseen - validation
    assert people["unseen"].isdisjoint(trained | people["validation"]) and people["validation"].isdisjoint(trained)


def test_fewer_labels_are_among_all_labels_and_have_no_validation_part(like_cifar10):
    every = make_split(like_cifar10, "cifar10-1k-5k-54k")
    few = make_split(like_cifar10, "cifar10-1k-5k-54k", labels=500)
    assert torch.bincount(like_cifar10.labels[few.train]).tolist() == [50] * 10
    labelled = members(every.train) | members(every.searches["validation"].query)
    assert members(few.train) <= labelled and "validation" not in few.searches
    assert torch.equal(few.searches["test"].database, every.searches["test"].database)
    with pytest.raises(ValueError, match="labels=501: give a multiple of 10, from 10 to 5000"):
        make_split(like_cifar10, "cifar10-1k-5k-54k", labels=501)


def test_a_seed_fixes_the_split_and_another_seed_draws_another(like_cifar10):
    first, again, other = (make_split(like_cifar10, "cifar10-1k-20k", seed) for seed in (3, 3, 4))
    assert first.hash == again.hash and torch.equal(first.train, again.train)
    assert first.hash != other.hash and not torch.equal(first.train, other.train)


def test_the_hash_names_the_source(like_cifar10):
    other = type(like_cifar10)(**{**like_cifar10.__dict__, "source": "another copy"})
    hashes = {make_split(images, "cifar10-1k-20k").hash for images in (like_cifar10, other)}
    assert len(hashes) == 2


def test_unknown_and_unfitting_protocols(like_cifar10):
    with pytest.raises(ValueError, match=r"no protocol 'cifar10-10k'; known are .*Did you mean 'cifar10-"):
        make_split(like_cifar10, "cifar10-10k")
    with pytest.raises(ValueError, match="is for mnist, but these images are cifar10"):
        make_split(like_cifar10, "mnist-200-1k")
    with pytest.raises(ValueError, match="no protocol for the task 'faces' on cifar10"):
        protocol_for(like_cifar10, "faces", "book")
    with pytest.raises(ValueError, match="no profile 'quik'; choose one of quick, book, full"):
        protocol_for(like_cifar10, "supervised", "quik")


def test_too_few_images_are_told():
    digits = load("mnist")
    small = type(digits)(**{**digits.__dict__, "labels": digits.labels.clamp(max=8)})
    with pytest.raises(ValueError, match="class 9 has 0 images left"):
        make_split(small, "mnist-500-3500")


def test_every_profile_has_a_protocol(like_cifar10, faces):
    for profile in ("quick", "book", "full"):
        for images, tasks in ((like_cifar10, ("supervised", "semi-supervised")), (faces, ("faces", "unseen faces"))):
            assert all(protocol_for(images, task, profile) in PROTOCOLS for task in tasks)


@pytest.mark.parametrize(
    ("query", "database", "train", "told"),
    [
        ([0, 1], [1, 2], [3], "the queries and the database of test share 1 images"),
        ([0, 1], [2], [0, 1, 3], "the queries of test and the training images share 2 images"),
        ([], [2], [3], "has no query"),
    ],
)
def test_overlaps_are_refused(query, database, train, told):
    digits, none = load("mnist"), torch.empty(0, dtype=torch.int64)
    search = Search(torch.tensor(query, dtype=torch.int64), torch.tensor(database))
    with pytest.raises(ValueError, match=told):
        finish_split(digits, "toy", 0, torch.tensor(train), none, {"test": search})


def test_a_trained_database_may_not_pass_for_untrained():
    digits, none = load("mnist"), torch.empty(0, dtype=torch.int64)
    searches = {"untrained": Search(torch.tensor([0]), torch.tensor([1, 2]))}
    with pytest.raises(ValueError, match="the database of untrained and the training images share 1"):
        finish_split(digits, "toy", 0, torch.tensor([2]), none, searches)
