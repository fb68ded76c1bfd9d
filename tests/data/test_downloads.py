"""Downloads: what arrives is kept whole, and of what does not arrive whole nothing is kept."""

import hashlib
import io
import pickle
import resource
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets._lfw import FUNNELED_ARCHIVE, TARGETS
from torchvision.datasets import CIFAR10

from retrieval_lib.data import load
from retrieval_lib.files import write_whole_folder
from tests.data.conftest import jpeg

PEOPLE = 3
IMAGES = 8  # of each


def packed(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def kept(folder) -> list[str]:
    """The files in a folder that may not exist."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def cifar10(monkeypatch):
    """An archive in CIFAR-10's form, of one training and one test batch: image i is plainly of value 10 i."""
    files = {"batches.meta": pickle.dumps({"label_names": [f"class {c}" for c in range(4)]})}
    for name, numbers in (("data_batch_1", range(8)), ("test_batch", range(8, 12))):
        pixels = np.repeat([[10 * i] for i in numbers], 3072, axis=1).astype(np.uint8)
        files[name] = pickle.dumps({"data": pixels, "labels": [i % 4 for i in numbers]})
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    archive = packed({f"cifar-10-batches-py/{name}": content for name, content in files.items()})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive).hexdigest())
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return archive


@pytest.fixture
def lfw_archive():
    """An archive in the form of LFW: image i of person p is plainly of value 60 p + i, and a person with one image."""
    images = {
        f"lfw_funneled/Person_{p}/Person_{p}_{i:04}.jpg": jpeg(60 * p + i, 250)
        for p in range(PEOPLE)
        for i in range(IMAGES)
    }
    return packed(images | {"lfw_funneled/Lonely_One/Lonely_One_0001.jpg": jpeg(200, 250)})


@pytest.fixture
def lfw(monkeypatch, serve, lfw_archive):
    """Serve this archive, and have it pass for all of LFW."""
    monkeypatch.setattr("retrieval_lib.data.lfw.IMAGES", PEOPLE * IMAGES + 1)
    monkeypatch.setattr("retrieval_lib.data.lfw.PEOPLE", PEOPLE + 1)

    def served(content: bytes, checksum: str):
        elsewhere = FUNNELED_ARCHIVE._replace(url=serve(content) + "/lfw.tgz", checksum=checksum)
        pairs = serve(b"pairs")
        told = tuple(t._replace(url=pairs, checksum=hashlib.sha256(b"pairs").hexdigest()) for t in TARGETS)
        monkeypatch.setattr("sklearn.datasets._lfw.FUNNELED_ARCHIVE", elsewhere)
        monkeypatch.setattr("sklearn.datasets._lfw.TARGETS", told)
        monkeypatch.setattr("retrieval_lib.data.lfw.FUNNELED_ARCHIVE", elsewhere)

    served(lfw_archive, hashlib.sha256(lfw_archive).hexdigest())
    return served


def check_cifar10(images) -> None:
    numbers = images.images[:, 0, 0, 0].long() // 10
    assert images.images.shape == (12, 3, 32, 32) and sorted(numbers.tolist()) == list(range(12))
    assert torch.equal(images.labels, numbers % 4) and torch.equal(images.part, (numbers >= 8).long())


def test_cifar10_is_downloaded_once(empty_cache, network, serve, monkeypatch, cifar10, capsys):
    monkeypatch.setattr(CIFAR10, "url", serve(cifar10) + "/cifar.tar.gz")
    check_cifar10(load("cifar10"))
    assert "Downloading cifar10, about 170 MB" in capsys.readouterr().out
    folder = "downloads/cifar10/cifar-10-batches-py"
    assert kept(empty_cache) == [f"{folder}/{name}" for name in ("batches.meta", "data_batch_1", "test_batch")]
    monkeypatch.setenv("RETRIEVAL_OFFLINE", "1")
    check_cifar10(load("cifar10"))


def test_torchvisions_archive_is_unpacked_into_the_cache(data_folder, cifar10):
    archive = data_folder / "cifar-10-python.tar.gz"
    archive.write_bytes(cifar10[:-1])
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz has the wrong checksum"):
        load("cifar10")
    archive.write_bytes(cifar10)
    for _ in range(2):
        check_cifar10(load("cifar10"))
    assert list(data_folder.iterdir()) == [archive], "the reader's folder stays as it is"


def test_torchvisions_folder_is_read(data_folder, cifar10):
    with tarfile.open(fileobj=io.BytesIO(cifar10)) as tar:
        tar.extractall(data_folder, filter="data")
    check_cifar10(load("cifar10"))
    (data_folder / "cifar-10-batches-py" / "test_batch").write_bytes(b"half")
    with pytest.raises(ValueError, match="is incomplete or has a wrong checksum; remove it"):
        load("cifar10")


def test_lfw_is_downloaded_once(empty_cache, network, lfw, monkeypatch):
    for _ in range(2):
        images = load("lfw")
        assert images.images.shape == (PEOPLE * IMAGES, 3, 64, 64) and images.class_names == ("0", "1", "2")
        values = images.images[:, 0, 0, 0].long() + 2  # JPEG may move a value by two
        assert torch.equal(images.labels, values // 60) and images.source == "funneled images, by scikit-learn"
        monkeypatch.setenv("RETRIEVAL_OFFLINE", "1")
    assert not list(empty_cache.rglob("joblib"))


@pytest.fixture
def lfw_home(data_folder, lfw):
    """A reader's `lfw_home` with the lists of pairs, for the archive or the folder that is unpacked from it."""
    home = data_folder / "lfw_home"
    home.mkdir()
    for target in TARGETS:
        (home / target.filename).write_bytes(b"pairs")
    return home


def test_scikit_learns_archive_is_read_and_stays_as_it_is(lfw_home, empty_cache, network, lfw_archive, monkeypatch):
    downloaded = load("lfw")
    (lfw_home / "lfw-funneled.tgz").write_bytes(lfw_archive)  # as it lies there before scikit-learn unpacked it
    before = kept(lfw_home)
    monkeypatch.setenv("RETRIEVAL_DATA", str(lfw_home.parent))
    shutil.rmtree(empty_cache)
    images = load("lfw")
    assert kept(lfw_home) == before and "lfw-funneled.tgz" in before
    assert (images.content_hash, images.source) == (downloaded.content_hash, downloaded.source)


def test_a_damaged_archive_of_lfw_is_refused(lfw_home, tmp_path):
    other = packed({f"lfw_funneled/Person_{p}/{i}.jpg": jpeg(50, 250) for p in range(PEOPLE) for i in range(IMAGES)})
    (lfw_home / "lfw-funneled.tgz").write_bytes(other)
    with pytest.raises(ValueError, match=r"data/lfw_home/lfw-funneled\.tgz has the wrong checksum: .*copy it again"):
        load("lfw")
    assert kept(tmp_path / "cache") == []


def test_half_a_folder_of_lfw_is_refused_and_never_kept(lfw_home, lfw_archive, tmp_path):
    with tarfile.open(fileobj=io.BytesIO(lfw_archive)) as tar:
        tar.extractall(lfw_home, filter="data")
    last = lfw_home / "lfw_funneled" / f"Person_{PEOPLE - 1}"
    last.rename(tmp_path / "not yet copied")
    with pytest.raises(
        ValueError, match=r"data/lfw_home/lfw_funneled holds 17 images of 3 people, but LFW has 25 of 4"
    ):
        load("lfw")
    assert kept(tmp_path / "cache") == []
    (tmp_path / "not yet copied").rename(last)
    assert len(load("lfw")) == PEOPLE * IMAGES
    (lfw_home / "pairs.txt").unlink()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ValueError, match=rf"LFW in {lfw_home.parent} is incomplete .*pairs\.txt is missing"):
        load("lfw")


def test_a_server_that_cannot_be_reached(empty_cache, network, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"its server, 127\.0\.0\.1, cannot be reached"):
        load("cifar10")
    assert kept(empty_cache) == []


def test_an_interrupted_download(empty_cache, network, serve, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", serve(b"x" * 5000, announced=100_000) + "/cifar.tar.gz")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="the download did not succeed"):
            load("cifar10")
        assert kept(empty_cache) == []


@pytest.mark.parametrize("name", ["cifar10", "lfw"])
def test_a_download_with_a_wrong_checksum(empty_cache, network, serve, monkeypatch, lfw, name):
    monkeypatch.setattr(CIFAR10, "url", serve(b"something else") + "/archive.tar.gz")
    lfw(b"something else", "0" * 64)
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=f"{name} was not found.*the download did not succeed"):
            load(name)
        assert kept(empty_cache) == []


@pytest.mark.parametrize("name", ["cifar10", "lfw"])
def test_a_disk_that_fills_up_while_the_archive_is_unpacked(
    empty_cache, network, serve, monkeypatch, cifar10, lfw, name
):
    """The archive is whole, but a file in it finds no room: what was unpacked so far must not pass for the set."""
    monkeypatch.setattr(CIFAR10, "url", serve(cifar10) + "/cifar.tar.gz")
    images = {f"lfw_funneled/Person_{p}/{i}.jpg": jpeg(50, 250) for p in range(PEOPLE) for i in range(IMAGES)}
    large = packed(images | {"lfw_funneled/Person_9/0.jpg": bytes(300_000)})
    lfw(large, hashlib.sha256(large).hexdigest())
    room = {"cifar10": 20_000, "lfw": 100_000}[name]  # bytes a file; a batch and the last image need more
    assert max(len(cifar10), len(large) if name == "lfw" else 0) < room
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(2):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            with pytest.raises(FileNotFoundError, match="the download did not succeed"):
                load(name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert kept(empty_cache) == []


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "folder"
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), write_whole_folder(path) as partial:
            (partial / "a").write_text("half")
            raise error
        assert kept(tmp_path) == []
    for text in ("old", "new"):
        with write_whole_folder(path) as partial:
            (partial / "a").write_text(text)
    with pytest.raises(OSError), write_whole_folder(path) as partial:
        raise OSError
    assert kept(tmp_path) == ["deep/folder/a"] and (path / "a").read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize(("before", "left"), [(True, "old"), (False, "new")])
def test_a_folder_is_never_lost_while_the_new_one_takes_its_place(tmp_path, monkeypatch, error, before, left):
    path, move = tmp_path / "folder", Path.replace
    with write_whole_folder(path) as partial:
        (partial / "a").write_text("old")

    def interrupted(source, target):
        if target != path or source.name == "old":
            return move(source, target)
        if not before:
            move(source, target)
        raise error

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(error), write_whole_folder(path) as partial:
        (partial / "a").write_text("new")
    assert kept(tmp_path) == ["folder/a"] and (path / "a").read_text() == left
