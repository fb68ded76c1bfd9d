"""Lists of images: each read once, the split that they say, and what is refused."""

import csv

import pytest
import torch
from PIL import Image

from retrieval_lib.data import load_lists

LISTS = {"train": range(0, 10), "query": range(10, 14), "database": range(0, 10)}


@pytest.fixture
def folder(tmp_path):
    """Images of one grey each, image i of value 10 i, and a function that writes the three lists."""
    for i in range(16):
        Image.new("RGB", (80, 70), (10 * i,) * 3).save(tmp_path / f"{i}.png")
    return tmp_path


def write(folder, lists=LISTS, label=lambda name, i: "even" if i % 2 == 0 else "odd"):
    paths = {}
    for name, numbers in lists.items():
        paths[name] = folder / f"{name}.csv"
        with paths[name].open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerows([("path", "label"), *((f"{i}.png", label(name, i)) for i in numbers)])
    return paths


def numbers(images, positions):
    return sorted((images.images[positions, 0, 0, 0] // 10).tolist())


def test_each_image_is_read_once_and_the_split_is_that_of_the_lists(folder):
    images, split = load_lists(folder, write(folder), size=64)
    assert images.images.shape == (14, 3, 64, 64)
    assert numbers(images, split.searches["test"].query) == [10, 11, 12, 13]
    assert numbers(images, split.searches["test"].database) == list(range(10))
    validation = split.searches["validation"]
    assert numbers(images, torch.cat([validation.query, split.train])) == list(range(10))
    assert torch.equal(validation.database, split.train) and len(validation.query) == 1
    parity = (images.images[:, 0, 0, 0] // 10) % 2
    assert [images.class_names[c] for c in images.labels] == [("even", "odd")[p] for p in parity]


def test_several_labels(folder):
    paths = write(folder, label=lambda name, i: "all;even" if i % 2 == 0 else "all")
    images, _ = load_lists(folder, paths, size=64)
    assert images.multi_label and images.class_names == ("all", "even")
    assert torch.equal(images.labels[:, 1], (images.images[:, 0, 0, 0] // 10) % 2 == 0)


def test_images_in_a_folder_called_like_a_known_data_set_are_not_that_one(folder, monkeypatch):
    known = folder / "mnist"
    known.mkdir()
    for path in folder.glob("*.png"):
        path.rename(known / path.name)
    monkeypatch.chdir(known)
    for path in (known, "."):
        images, _ = load_lists(path, write(folder), size=64)
        assert (images.name, images.source) == ("own mnist", "lists of mnist")


def test_a_missing_list_is_named(folder):
    paths = write(folder)
    del paths["query"]
    with pytest.raises(ValueError, match="one each of train, query, database"):
        load_lists(folder, paths, size=64)


def test_other_labels_of_the_same_image_are_named(folder):
    paths = write(folder, label=lambda name, i: "odd" if (name, i) == ("database", 4) or i % 2 else "even")
    with pytest.raises(ValueError, match=r"4\.png has other labels in the list database"):
        load_lists(folder, paths, size=64)


def test_a_query_in_the_database_is_refused(folder):
    with pytest.raises(ValueError, match="share 1 images"):
        load_lists(folder, write(folder, {**LISTS, "query": range(9, 13)}), size=64)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        load_lists(tmp_path / "nowhere", {}, size=64)
