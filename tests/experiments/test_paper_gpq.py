"""The paper's setting of GPQ, started on a tiny made-up folder of images with several labels each."""

from dataclasses import replace

import pytest
import torch

from retrieval_lib.__main__ import main
from retrieval_lib.backbones import channel_statistics, load_backbone
from retrieval_lib.experiments import paper
from retrieval_lib.files import sha256_of_file
from retrieval_lib.training import History, save_checkpoint
from retrieval_lib.training.checkpoints import read_tensors


@pytest.fixture
def arguments(lists_of_noise, tmp_path):
    """The command's arguments for two steps."""
    told = ["paper", "gpq", *lists_of_noise, "--weights", str(tmp_path / "gpq.safetensors")]
    return [*told, "--steps", "2", "--batch-size", "9", "--bits", "12"]


def test_it_trains_steps_keeps_the_weights_and_judges_the_queries(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    told = capsys.readouterr().out
    scores = [float(line.split(": ")[-1]) for line in told.splitlines() if line.startswith("test: mAP,")]
    assert len(scores) == 4 and all(0 < score <= 1 for score in scores)
    tensors, about = read_tensors(tmp_path / "gpq.safetensors", "checkpoint")
    assert tensors["codebooks"].shape == (3, 16, 12) and tensors["prototypes"].shape == (3, 3, 12)
    assert about["settings"]["network"] == "small-vgg" and about["settings"]["entropy"] == 0.1
    history = about["history"]
    assert history["steps"][-1] == 2 and history["weights_before"] != history["weights_after"]
    assert {"N-pair", "classification", "negative entropy"} == set(history["terms"])
    assert not (tmp_path / "gpq.state").exists()


def test_only_database_images_without_a_place_in_the_training_list_are_learned_from_without_labels(
    arguments, monkeypatch
):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append(split)
        raise ValueError("seen enough")

    monkeypatch.setattr(paper, "train", train)
    assert main(arguments) == 1
    (split,) = seen
    database = split.searches["test"].database
    assert len(split.unlabelled) == 26 and torch.isin(split.unlabelled, database).all()
    labelled = torch.cat([split.train, split.searches["validation"].query])
    assert len(labelled) == 20 and not torch.isin(split.unlabelled, labelled).any()


def test_it_starts_from_the_weights_of_a_network(arguments, tmp_path, monkeypatch, capsys):
    seen = []

    def train(method, images, split, settings, *, initial, **_):
        seen.append((method.backbone, initial, channel_statistics(images.images[split.train])))
        raise ValueError("seen enough")

    monkeypatch.setattr(paper, "train", train)
    others = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))  # of the images that it was trained on
    start, network = tmp_path / "network.safetensors", load_backbone("small-vgg", seed=7, statistics=others)
    save_checkpoint(start, network, {}, History([]))
    main([*arguments, "--start", str(start)])
    ((backbone, initial, statistics),) = seen
    assert initial == f"network of network.safetensors, SHA-256 {sha256_of_file(start)[:16]}"
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), network.parameters(), strict=True))
    told = (backbone.normalise.mean.flatten().tolist(), backbone.normalise.deviation.flatten().tolist())
    assert told == (pytest.approx(statistics[0]), pytest.approx(statistics[1])), "those of the images learned from"
    assert main([*arguments, "--start", str(tmp_path / "nowhere.safetensors")]) == 1
    assert "nowhere.safetensors" in capsys.readouterr().err


def test_one_command_trains_with_the_published_numbers_in_the_papers_split(tmp_path, monkeypatch, like_cifar10):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append((method, split, settings))
        raise ValueError("seen enough")

    monkeypatch.setattr(paper, "train", train)
    noise = torch.randint(256, like_cifar10.images.shape, generator=torch.Generator().manual_seed(0))
    images = replace(like_cifar10, images=noise.byte())
    monkeypatch.setattr("retrieval_lib.__main__.load", lambda name: {"cifar10": images}[name])
    assert main(["paper", "gpq", "--dataset", "cifar10", "--weights", str(tmp_path / "gpq.safetensors")]) == 1
    ((method, split, settings),) = seen
    search = split.searches["test"]
    held_out = split.searches["validation"].query
    assert (len(search.query), len(search.database), len(split.unlabelled)) == (1000, 54_000, 54_000)
    assert (len(split.train), len(held_out)) == (4500, 500)
    told = (settings.steps, settings.batch_size, settings.optimizer, settings.learning_rate, settings.weight_decay)
    assert told == (3000, 500, "adam", 2e-4, 0.0)
    assert (settings.momentum, settings.decay, settings.decay_every, settings.warm_up) == (0.5, 0.95, 100, 0)
    assert settings.backbone_rate == 1.0 and settings.clip == 0.0
    own = method.settings
    assert (own.bits, own.codewords, own.dimension, own.sharpness, own.scale) == (48, 16, 12, 20.0, 4.0)
    assert (own.pairs, own.classification, own.entropy, own.minimax, own.ramp) == (1.0, 0.1, 0.1, True, 0.0)
    assert own.view.flip == 0.5 and own.view.shift == 4 and own.view.crop == own.view.jitter == own.view.blur == 0
    assert method.codebooks.shape == (12, 16, 12)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (["--dataset", "cifar10", "--images", "here"], "leave --images out"),
        (["--dataset", "cifar10", "--size", "64"], "leave --size out"),
        (["--images", "here"], "--train and --query and --database are missing"),
        ([], "--images and --train"),
    ],
)
def test_images_are_named_in_one_way(tmp_path, capsys, told, named):
    assert main(["paper", "gpq", *told, "--weights", str(tmp_path / "gpq.safetensors")]) == 1
    assert named in capsys.readouterr().err
