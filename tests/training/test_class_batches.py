"""Batches of P classes × k images: what they hold, that seed and step fix them, and whom an epoch leaves out."""

import signal
from dataclasses import replace
from itertools import product

import pytest
import torch

from retrieval_lib.backbones import load_backbone
from retrieval_lib.data import image_set
from retrieval_lib.methods.block_hashing import BlockHashing, BlockHashingSettings
from retrieval_lib.methods.sgh import SGH, SGHSettings
from retrieval_lib.training import step_batch, train
from retrieval_lib.training.batches import class_step_indices, steps_per_epoch, targets_of, view_makers
from tests.training.toy import GENTLE, SHORT


@pytest.fixture
def by_class(make_method):
    """A method that asks for four images of each class of a batch."""
    method = make_method()
    method.images_per_class = 4
    return method


def uneven(counts, seed=0):
    """Shuffled labels with so many images a class, and their positions in a larger data set."""
    labels = torch.repeat_interleave(torch.tensor(counts))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.arange(len(labels)) * 3 + 5, labels[order]


def batches_by_hand(counts, classes, each):
    """The longest epoch, by taking groups of the classes that have the most left, batch after batch."""
    left, found = sorted((c // each for c in counts), reverse=True), 0
    while sum(n > 0 for n in left) >= classes:
        left = sorted([n - 1 for n in left[:classes]] + left[classes:], reverse=True)
        found += 1
    return found


def epoch_of_batches(counts, batch_size, each, epoch=0, seed=0):
    positions, labels = uneven(counts)
    length = batches_by_hand(counts, batch_size // each, each)
    settings = replace(SHORT, batch_size=batch_size, seed=seed)
    steps = range(epoch * length, (epoch + 1) * length)
    return labels, [(class_step_indices(positions, labels, step, settings, each) - 5) // 3 for step in steps]


LAYOUTS = [
    ([10] * 6, 12, 4), ([7] * 35, 32, 4), ([5, 40, 8, 13, 9, 27, 4, 6], 16, 4), ([2, 3, 200, 2], 6, 2),
    ([9, 0, 1, 9, 9], 6, 3), ([30, 4, 4], 3, 1),
    ([12, 12, 8, 4, 4, 4, 4, 4], 16, 4),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "batch_size", "each"), LAYOUTS)
def test_every_batch_holds_k_images_of_each_of_p_classes_and_an_epoch_no_image_twice(counts, batch_size, each):
    labels, epoch = epoch_of_batches(counts, batch_size, each)
    for batch in epoch:
        held = torch.bincount(labels[batch], minlength=len(counts))
        assert (
            len(batch) == batch_size and set(held.tolist()) <= {0, each} and int((held > 0).sum()) == batch_size // each
        )
        assert torch.equal(labels[batch].view(-1, each), labels[batch[::each]].unsqueeze(1).expand(-1, each))
    seen = torch.cat(epoch)
    assert len(seen) == len(seen.unique())


@pytest.mark.parametrize(("counts", "batch_size", "each"), LAYOUTS)
def test_the_epoch_is_as_long_as_can_be_and_misses_a_class_only_where_it_must(counts, batch_size, each, by_class):
    _, labels = uneven(counts)
    pixels = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    images = image_set(
        "faces", "made up", pixels, labels.unique(return_inverse=True)[1], range(int((torch.tensor(counts) > 0).sum()))
    )
    by_class.images_per_class = each
    length = steps_per_epoch(by_class, images, torch.arange(len(labels)), replace(SHORT, batch_size=batch_size))
    assert length == batches_by_hand(counts, batch_size // each, each) > 0
    eligible = sum(c >= each for c in counts)
    for epoch in range(20):
        seen = len(labels[torch.cat(epoch_of_batches(counts, batch_size, each, epoch)[1])].unique())
        assert seen == min(eligible, length * (batch_size // each))


def test_over_epochs_every_image_of_every_large_enough_class_is_seen_and_about_as_often():
    counts = [7, 7, 9, 4, 12, 3, 8, 10]  # the class of three has no group of four
    labels = uneven(counts)[1]
    seen = torch.zeros(len(labels))
    for epoch in range(200):
        for batch in epoch_of_batches(counts, 16, 4, epoch)[1]:
            seen[batch] += 1
    assert (seen[labels == 5] == 0).all() and (seen[labels != 5] > 0).all()
    for c, n in enumerate(counts):  # within a class: by chance alone, at most the groups' share of its images
        of_class, share = seen[labels == c], (n // 4) * 4 / n
        spread = 5 * (200 * share * (1 - share) + 200 * 0.25) ** 0.5
        assert of_class.max() <= 200 * share + spread and of_class.max() - of_class.min() <= 2 * spread


def test_seed_and_step_alone_fix_a_batch():
    positions, labels = uneven([9, 8, 12, 7])
    settings = replace(SHORT, batch_size=8)
    first, again = (class_step_indices(positions, labels, 17, settings, 4) for _ in range(2))
    torch.rand(3)  # the global random state does not matter
    later, other = (
        class_step_indices(positions, labels, *which, 4) for which in ((18, settings), (17, replace(settings, seed=1)))
    )
    assert torch.equal(first, again) and not torch.equal(first, later) and not torch.equal(first, other)
    assert torch.isin(first, positions).all()


def test_classes_meet_in_changing_company():
    labels, meetings = uneven([8] * 12)[1], set()
    for epoch in range(30):
        for batch in epoch_of_batches([8] * 12, 16, 4, epoch)[1]:
            held = labels[batch].unique().tolist()
            meetings |= {pair for pair in product(held, held) if pair[0] < pair[1]}
    assert len(meetings) == 12 * 11 // 2, "every two classes meet"


def test_a_method_that_asks_gets_its_batches(by_class, stripes, split, short):
    settings = replace(short, batch_size=12)
    batch = step_batch(by_class, stripes, split.train, 5, settings, view_makers(by_class, stripes))
    assert batch.targets.sum(0).tolist() == [4, 4, 4] and batch.views[0].shape == (12, 1, 28, 28)
    indices = class_step_indices(split.train, stripes.labels[split.train], 5, settings, 4)
    assert torch.equal(batch.targets, targets_of(stripes, indices))
    before = stripes.labels.clone()
    history = train(by_class, stripes, split, replace(settings, steps=3))
    assert history.steps[-1] == 3 and torch.equal(stripes.labels, before)


@pytest.mark.parametrize("method_class", [SGH, BlockHashing])
def test_the_methods_for_faces_train_in_the_loop(method_class, stripes, split, short):
    settings_class = {SGH: SGHSettings, BlockHashing: BlockHashingSettings}[method_class]
    chosen = settings_class(bits=8, view=GENTLE, view_count=3, images_per_class=4)
    method = method_class(load_backbone("small-resnet", channels=1, width=4), 3, chosen)
    history = train(method, stripes, split, replace(short, batch_size=12, steps=40, learning_rate=1e-2))
    assert history.losses[-1] < history.losses[0]
    assert history.scores[-1] > 0.95 > history.scores[0] + 0.3  # ten seeds of each ended at 1.0


def test_a_run_in_batches_by_class_goes_on_exactly_where_it_stopped(make_method, stripes, split, short, tmp_path):
    settings, methods = replace(short, batch_size=12, save_every=100), [make_method(), make_method(), make_method()]
    for method in methods:
        method.images_per_class = 4
    whole, stopped, resumed = methods
    expected = train(whole, stripes, split, settings)

    def stop(method, history):
        if history.score_steps[-1] == 5:
            signal.raise_signal(signal.SIGINT)

    state = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(stopped, stripes, split, settings, callback=stop, state_path=state)
    history = train(resumed, stripes, split, settings, state_path=state)
    assert history.terms == expected.terms
    assert all(torch.equal(t, whole.state_dict()[n]) for n, t in resumed.state_dict().items())


@pytest.mark.parametrize(
    ("batch_size", "each", "told"),
    [
        (30, 4, "batch_size=30 is no multiple of images_per_class=4; take 28"),
        (16, 4, "needs 4 classes of at least 4 training images, but there are 3; take a batch of at most 12"),
        (180, 90, "needs 2 classes of at least 90 training images, but there are 0"),
    ],
)
def test_batches_that_cannot_be_had_are_refused_at_the_start(by_class, stripes, split, short, batch_size, each, told):
    by_class.images_per_class = each
    with pytest.raises(ValueError, match=told):
        train(by_class, stripes, split, replace(short, batch_size=batch_size))
    positions, labels = split.train, stripes.labels[split.train]
    with pytest.raises(ValueError, match=told):
        class_step_indices(positions, labels, 0, replace(short, batch_size=batch_size), each)


def test_several_labels_and_hidden_labels_are_refused(by_class, stripes, split, short):
    several = type(stripes)(**{**stripes.__dict__, "labels": torch.rand(240, 3) < 0.5})
    with pytest.raises(ValueError, match="stripes has several labels an image"):
        train(by_class, several, split, replace(short, batch_size=12))
    by_class.uses_labels = False
    makers = view_makers(by_class, stripes)
    with pytest.raises(ValueError, match="tell a method the labels that it may not see"):
        step_batch(by_class, stripes, split.train, 0, replace(short, batch_size=12), makers)
