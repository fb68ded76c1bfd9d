"""A data set's tensors are checked, put into one order, and hashed."""

import pytest
import torch

from retrieval_lib.data import image_set

PIXELS = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1)
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def test_the_order_is_a_fixed_permutation_of_images_labels_and_parts():
    first, again = (image_set("toy", "here", PIXELS, LABELS, "abc", LABELS % 2) for _ in range(2))
    assert torch.equal(first.images, again.images) and first.content_hash == again.content_hash
    positions = first.images.flatten().long()
    assert positions.tolist() != list(range(6)) and sorted(positions.tolist()) == list(range(6))
    assert torch.equal(first.labels, LABELS[positions]) and torch.equal(first.part, LABELS[positions] % 2)
    assert len(first) == 6 and not first.multi_label


@pytest.mark.parametrize("changed", ["images", "labels", "part"])
def test_the_hash_tells_one_changed_value(changed):
    tensors = {"images": PIXELS.clone(), "labels": LABELS.clone(), "part": torch.zeros(6).long()}
    before = image_set("toy", "here", class_names="abc", **tensors).content_hash
    tensors[changed].view(-1)[0] = 1
    assert image_set("toy", "here", class_names="abc", **tensors).content_hash != before


def test_without_labels_gives_nothing_but_pixels():
    images = image_set("toy", "here", PIXELS, LABELS, "abc")
    given = images.without_labels(torch.tensor([4, 1]))
    assert isinstance(given, torch.Tensor) and torch.equal(given, images.images[[4, 1]])


@pytest.mark.parametrize(
    ("images", "labels", "names", "told"),
    [
        (PIXELS.float(), LABELS, "abc", "float32"),
        (PIXELS.squeeze(), LABELS, "abc", r"shape \(6,\)"),
        (PIXELS.expand(6, 2, 1, 1), LABELS, "abc", "1 or 3"),
        (PIXELS, LABELS[:5], "abc", "6 images but 5 labels"),
        (PIXELS, LABELS, "ab", "labels go from 0 to 2, but there are 2 class names"),
        (PIXELS, LABELS - 1, "abc", "labels go from -1"),
        (PIXELS, LABELS, "abcd", "no image of class d"),
        (PIXELS, torch.ones(6, 2).bool(), "abc", "2 columns of labels, but 3 class names"),
        (PIXELS, torch.eye(6).bool()[:, :3] & False, "abc", "no image of class a, b, c"),
    ],
)
def test_tensors_that_do_not_fit_are_named(images, labels, names, told):
    with pytest.raises(ValueError, match=told):
        image_set("toy", "here", images, labels, names)


def test_another_size_keeps_order_labels_and_splits():
    pixels = torch.arange(6 * 16, dtype=torch.uint8).view(6, 1, 4, 4)
    whole = image_set("toy", "made up", pixels, torch.tensor([0, 1, 0, 1, 0, 1]), "ab")
    small = whole.resized(2)
    assert small.images.shape == (6, 1, 2, 2) and torch.equal(small.labels, whole.labels)
    first = whole.images[0, 0].float()
    assert float(small.images[0, 0, 0, 0]) == pytest.approx(float(first[:2, :2].mean()), abs=0.5)
    assert small.content_hash != whole.content_hash and "2 x 2" in small.source
    with pytest.raises(ValueError, match="side=0"):
        whole.resized(0)
