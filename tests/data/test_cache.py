"""The decoded images on disk: whole or not at all, and never believed without their hash."""

import resource

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from retrieval_lib.data import image_set
from retrieval_lib.data.cache import read_cached, write_cached
from retrieval_lib.files import write_whole


@pytest.fixture
def images():
    pixels = torch.arange(3000, dtype=torch.int64).remainder(251).to(torch.uint8).view(1000, 3, 1, 1)
    return image_set("toy", "here", pixels, torch.arange(1000) % 2, ("no", "yes"), torch.arange(1000) % 2)


@pytest.fixture
def kept(empty_cache, images):
    write_cached("toy", images)
    (path,) = empty_cache.rglob("*.safetensors")
    return path


def test_what_was_kept_is_read(kept, images):
    again = read_cached("toy")
    for name in ("images", "labels", "part"):
        assert torch.equal(getattr(again, name), getattr(images, name))
    for name in ("name", "source", "class_names", "content_hash"):
        assert getattr(again, name) == getattr(images, name)
    assert read_cached("something else") is None


def test_a_truncated_file_is_refused(kept, capsys):
    kept.write_bytes(kept.read_bytes()[:-10])
    assert read_cached("toy") is None and "damaged" in capsys.readouterr().out


def test_a_changed_pixel_is_refused(kept, capsys):
    with safe_open(kept, framework="pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in ("images", "labels", "part")}
    tensors["images"][7] += 1
    save_file(tensors, kept, metadata=about)
    assert read_cached("toy") is None and "damaged" in capsys.readouterr().out


def test_a_full_disk_leaves_nothing_and_is_told(empty_cache, images, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # no file may grow beyond a kilobyte
    try:
        write_cached("toy", images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "could not be kept" in capsys.readouterr().out
    assert [p for p in empty_cache.rglob("*") if p.is_file()] == [] and read_cached("toy") is None


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), write_whole(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with write_whole(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
