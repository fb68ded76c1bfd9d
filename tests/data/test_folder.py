"""A reader's own images: what is read, and a clear error for all that can be wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval_lib.data import load_folder, make_split, protocol_for


@pytest.fixture
def folder(tmp_path):
    """Two classes with three images each; image i of class c is plainly grey of value 100 c + 10 i."""
    for c, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("L", (8, 6), 100 * c + 10 * i).save(tmp_path / name / f"{i}.png")
    return tmp_path


def table(folder, text):
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_a_folder_a_class(folder):
    (folder / "dogs" / "notes.txt").write_text("not an image")
    images = load_folder(folder)
    assert images.images.shape == (6, 1, 6, 8) and images.class_names == ("cats", "dogs")
    assert sorted(images.images[:, 0, 0, 0].tolist()) == [0, 10, 20, 100, 110, 120]
    assert torch.equal(images.labels, (images.images[:, 0, 0, 0] >= 100).long())


def test_a_table_with_several_labels(folder):
    path = table(folder, "path,label\ncats/0.png,cat; pet\ndogs/1.png,pet\ndogs/2.png,dog\n")
    images = load_folder(folder, labels=path)
    assert images.multi_label and images.class_names == ("cat", "dog", "pet")
    found = {int(p): row.tolist() for p, row in zip(images.images[:, 0, 0, 0], images.labels, strict=True)}
    assert found == {0: [True, False, True], 110: [False, False, True], 120: [False, True, False]}


def test_a_table_with_one_label_each(folder):
    images = load_folder(folder, labels=table(folder, "\ufeffpath,label\ncats/0.png,b\ndogs/1.png,a\n"))
    assert images.class_names == ("a", "b") and images.labels.shape == (2,)
    assert {int(p): int(c) for p, c in zip(images.images[:, 0, 0, 0], images.labels, strict=True)} == {0: 1, 110: 0}


def test_size_brings_all_to_one_shape(folder):
    Image.new("RGB", (30, 10), (255, 0, 0)).save(folder / "cats" / "wide.png")
    images = load_folder(folder, size=4)
    assert images.images.shape == (7, 3, 4, 4)
    red = (images.images[:, 0] == 255).all((1, 2)) & (images.images[:, 1] == 0).all((1, 2))
    assert int(red.sum()) == 1


def test_a_folder_can_be_searched(folder):
    images = load_folder(folder)
    split = make_split(images, protocol_for(images, "supervised", "book"))
    assert len(split.searches["test"].query) == 2 and len(split.searches["test"].database) == 4


def test_several_labels_are_split_without_overlap(tmp_path):
    lines = ["path,label"]
    for i in range(40):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'even' if i % 2 == 0 else 'odd'}" + ("; third" if i % 3 == 0 else ""))
    images = load_folder(tmp_path, labels=table(tmp_path, "\n".join(lines)))
    searches = make_split(images, "folder").searches
    query, database, held_out, train = (
        set(p.tolist()) for name in ("test", "validation") for p in (searches[name].query, searches[name].database)
    )
    assert (len(query), len(held_out)) == (4, 4) and query | database == set(range(40))
    assert query.isdisjoint(database) and database == held_out | train and held_out.isdisjoint(train)


@pytest.mark.parametrize("size", [None, 6])
def test_a_photo_that_is_stored_on_its_side_is_turned(tmp_path, size):
    (tmp_path / "cats").mkdir()
    pixels = torch.zeros(6, 8, dtype=torch.uint8)
    pixels[:, :4] = 250  # light on the left
    stored = Image.fromarray(pixels.numpy())
    tags = Image.Exif()
    tags[274] = 6  # to be turned by a quarter, clockwise: the left becomes the top
    stored.save(tmp_path / "cats" / "phone.png", exif=tags)
    image = load_folder(tmp_path, size=size).images[0, 0]
    assert image.shape == ((8, 6) if size is None else (6, 6))
    assert int(image[:2].min()) > 200 and int(image[-2:].max()) < 50


def test_images_in_a_folder_called_like_a_known_data_set_are_not_that_one(folder, monkeypatch):
    known = folder / "mnist"
    known.mkdir()
    for path in (folder / "cats", folder / "dogs"):
        path.rename(known / path.name)
    monkeypatch.chdir(known)
    for path in (known, "."):
        images = load_folder(path)
        assert (images.name, images.source) == ("own mnist", "the folder mnist")


@pytest.mark.parametrize("size", [None, 6])
@pytest.mark.parametrize(("kind", "mode"), [(np.uint16, "I;16"), (np.int32, "I"), (np.float32, "F")])
def test_more_than_8_bits_a_channel(folder, size, kind, mode):
    Image.fromarray(np.full((6, 8), 1000, kind)).save(folder / "cats" / "deep.tif")
    with pytest.raises(ValueError, match=rf"cats.deep\.tif has more than 8 bits.*mode {mode}.*save it with 8 bits"):
        load_folder(folder, size=size)


def test_missing_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere is no folder"):
        load_folder(tmp_path / "nowhere")


def test_no_classes(tmp_path):
    with pytest.raises(ValueError, match="has no folders in it; make one for each class"):
        load_folder(tmp_path)


def test_empty_class(folder):
    (folder / "birds").mkdir()
    with pytest.raises(ValueError, match="The class birds has no images"):
        load_folder(folder)


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_unreadable_image(folder, content):
    (folder / "cats" / "1.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"1\.png cannot be read as an image"):
        load_folder(folder)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_truncated_image(folder, ending):
    path = folder / "cats" / f"9.{ending}"
    noise = torch.randint(0, 256, (60, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"9\.{ending} cannot be read as an image .*replace or remove it"):
        load_folder(folder)


def test_mixed_sizes(folder):
    Image.new("L", (9, 6)).save(folder / "dogs" / "other.png")
    with pytest.raises(ValueError, match=r"other.png is 9 × 6 pixels, grey, but 0.png is 8 × 6 pixels.*give size="):
        load_folder(folder)


def test_mixed_channels(folder):
    Image.new("RGB", (8, 6)).save(folder / "dogs" / "other.png")
    with pytest.raises(ValueError, match=r"other.png is 8 × 6 pixels, colour, but 0.png is .*grey"):
        load_folder(folder)


def test_a_table_in_another_encoding(folder):
    path = folder / "labels.csv"
    path.write_bytes("path,label\ncats/0.png,고양이\n".encode("cp949"))
    with pytest.raises(ValueError, match=r"labels\.csv is not UTF-8 .*CSV UTF-8"):
        load_folder(folder, labels=path)


def test_missing_table(folder):
    with pytest.raises(FileNotFoundError, match=r"labels\.csv does not exist"):
        load_folder(folder, labels=folder / "labels.csv")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("file,label\ncats/0.png,a\n", ValueError, "it needs `path` and `label`"),
        ("", ValueError, "it needs `path` and `label`"),
        ("path,label\n", ValueError, "names no images"),
        ("path,label\ncats/0.png,a\ncats/1.png,\n", ValueError, "line 3: cats/1.png has no label"),
        ("path,label\ncats/0.png,a\ncats/7.png,a\n", FileNotFoundError, "line 3: the image cats/7.png is not in"),
        ("path,label\ncats/0.png,a\ncats/0.png,b\n", ValueError, "names 0.png twice"),
    ],
)
def test_labels_that_do_not_match(folder, text, error, told):
    with pytest.raises(error, match=told):
        load_folder(folder, labels=table(folder, text))
