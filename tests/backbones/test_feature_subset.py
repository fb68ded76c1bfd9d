"""Which images get features where all would take too long."""

import pytest
import torch

from retrieval_lib.backbones import Features, feature_subset, within
from retrieval_lib.data import ImageSet


def image_set(labels, part):
    return ImageSet(
        name="random",
        source="drawn by the test",
        images=torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8),
        labels=labels,
        class_names=("a", "b", "c"),
        part=part,
        content_hash="0" * 64,
    )


@pytest.fixture
def uneven():
    """1,000 images: class 0 has half of them, 1 three tenths, 2 two tenths; a fifth is the test part."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(1000, generator=generator)
    labels = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)[order]
    return image_set(labels, (torch.arange(1000) % 5 == 0).long())


def test_all_images_where_the_time_suffices(uneven):
    assert torch.equal(feature_subset(uneven, seconds=2.5), torch.arange(1000))  # 400 a second at 96 px
    assert len(feature_subset(uneven, seconds=2.49)) == 996


def test_count_follows_the_stated_speed_and_size(uneven):
    assert len(feature_subset(uneven, seconds=1)) == 400
    assert len(feature_subset(uneven, seconds=1, size=192)) == 70  # 400 / 2 ** 2.5
    assert len(feature_subset(uneven, seconds=0.1, size=48 * 2)) == 40


def test_strata_keep_their_shares_and_no_image_comes_twice(uneven):
    chosen = feature_subset(uneven, seconds=0.25)
    assert len(chosen.unique()) == len(chosen) == 100
    assert torch.equal(chosen, chosen.sort().values)
    for part in (0, 1):
        for label in range(3):
            stratum = (uneven.part == part) & (uneven.labels == label)
            assert abs(int(stratum[chosen].sum()) - 0.1 * int(stratum.sum())) <= 1, (part, label)


def test_seed_fixes_the_choice_and_the_smaller_lies_within_the_larger(uneven):
    chosen = feature_subset(uneven, seconds=0.25)
    assert torch.equal(chosen, feature_subset(uneven, seconds=0.25))
    assert not torch.equal(chosen, feature_subset(uneven, seconds=0.25, seed=1))
    assert torch.isin(chosen, feature_subset(uneven, seconds=0.5)).all()


def test_choice_is_spread_over_the_stratum(uneven):
    # a choice of each stratum's first images would end early in the set
    assert feature_subset(uneven, seconds=0.25).double().mean() == pytest.approx(500, abs=90)


def test_images_with_several_labels_are_stratified_by_part_alone(uneven):
    several = image_set(torch.nn.functional.one_hot(uneven.labels, 3).bool(), uneven.part)
    chosen = feature_subset(several, seconds=0.25)
    assert int(several.part[chosen].sum()) == 20


def test_no_time_is_refused(uneven):
    with pytest.raises(ValueError, match="seconds=0"):
        feature_subset(uneven, seconds=0)


def test_a_split_is_restricted_and_looked_up(uneven):
    chosen = feature_subset(uneven, seconds=0.25)
    queries = torch.tensor([999, int(chosen[3]), int(chosen[90]), int(chosen[1])])
    queries = queries[torch.tensor([0, 1, 2, 3])]
    kept = within(queries[1:], chosen)
    assert kept.tolist() == queries[1:].tolist()
    shuffled = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(1))]
    features = Features(shuffled[:, None].float() * 2, shuffled)
    assert features.at(kept).flatten().tolist() == [2 * i for i in kept.tolist()]


def test_features_that_were_not_computed_are_refused():
    features = Features(torch.zeros(2, 3), torch.tensor([8, 4]))
    with pytest.raises(ValueError, match=r"2 of 3 images.*the first is image 9"):
        features.at(torch.tensor([4, 9, 0]))
    assert features.at(torch.tensor([], dtype=torch.int64)).shape == (0, 3)
