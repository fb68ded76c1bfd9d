"""What a page says about itself: the images, the machine, the profile."""

import dataclasses

import pytest
import torch

from retrieval_lib import notebook
from retrieval_lib.data import choose, make_split


@pytest.fixture
def shown(monkeypatch):
    """The Markdown that was displayed, in order."""
    texts = []
    monkeypatch.setattr(notebook, "display", lambda shown: texts.append(shown.data))
    return texts


@pytest.fixture
def digits(monkeypatch):
    monkeypatch.setenv("RETRIEVAL_PROFILE", "quick")
    return choose("general")


def test_banner_names_images_source_reason_profile_and_split(shown, digits):
    split = make_split(digits.images, "mnist-200-100-1k")
    notebook.banner(digits, split)
    (text,) = shown
    assert all(line.startswith(">") for line in text.splitlines()), "one block quote, to its end"
    for told in ("mnist", "5,000 images of 28 × 28", "grey", digits.images.source, digits.reason, "`quick`"):
        assert told in text
    assert "200 queries search 1,000 images" in text
    assert f"{len(split.train)} images with labels" in text and "1,000 without" in text
    assert "JPEG" not in text


def test_banner_says_that_a_copy_is_a_jpeg_copy(shown, digits):
    copy = dataclasses.replace(digits.images, source="JPEG copy (some_file.npz)")
    notebook.banner(dataclasses.replace(digits, images=copy))
    assert "**JPEG copy**" in shown[0]


def test_supervised_split_has_no_word_on_unlabelled_images(shown, digits):
    notebook.banner(digits, make_split(digits.images, "mnist-200-1k"))
    assert "without" not in shown[0].split("Protocol")[1]


def test_set_up_seeds_and_tells_profile_and_versions(monkeypatch, capsys):
    monkeypatch.setenv("RETRIEVAL_PROFILE", "quick")
    assert notebook.set_up(seed=3) == "quick"
    first = torch.rand(2)
    printed = capsys.readouterr().out
    assert "seed 3; profile quick" in printed and f"torch {torch.__version__}" in printed
    torch.manual_seed(3)
    assert torch.equal(first, torch.rand(2))


def test_set_up_refuses_an_unknown_profile(monkeypatch):
    monkeypatch.setenv("RETRIEVAL_PROFILE", "fast")
    with pytest.raises(ValueError, match="quick, book, full"):
        notebook.set_up()
