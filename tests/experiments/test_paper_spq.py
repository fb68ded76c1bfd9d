"""The paper's setting of SPQ, started on a tiny made-up folder of images with several labels each."""

import signal

import pytest
import torch

from retrieval_lib.__main__ import STOPPED, main
from retrieval_lib.experiments import paper, paper_spq
from retrieval_lib.training import loop, train
from retrieval_lib.training.checkpoints import read_tensors


@pytest.fixture
def arguments(lists_of_noise, tmp_path):
    """The command's arguments for two epochs of two steps."""
    told = ["paper", "spq", *lists_of_noise, "--weights", str(tmp_path / "spq.safetensors")]
    return [*told, "--epochs", "2", "--batch-size", "9", "--bits", "8", "--k", "10"]


def test_it_trains_steps_keeps_the_weights_and_judges_the_queries(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    told = capsys.readouterr().out
    scores = [float(line.split(": ")[-1]) for line in told.splitlines() if line.startswith("test: mAP@10")]
    assert len(scores) == 4 and all(0 < score <= 1 for score in scores)
    tensors, about = read_tensors(tmp_path / "spq.safetensors", "checkpoint")
    assert tensors["codebooks"].shape == (2, 16, 16) and tensors["head.first.weight"].shape == (512, 512)
    assert about["settings"]["network"] == "cifar-resnet18" and about["settings"]["search"] == "Euclidean"
    history = about["history"]
    assert history["steps"][-1] == 4 and set(history["terms"]) == {"contrast"}
    assert history["weights_before"] != history["weights_after"]
    assert not (tmp_path / "spq.state").exists()


def test_stopped_it_goes_on_to_the_same_weights(arguments, tmp_path, monkeypatch, capsys):
    assert main(arguments) == 0
    file = tmp_path / "spq.safetensors"
    whole, _ = read_tensors(file, "checkpoint")
    file.unlink()

    def stopped(*told, **settings):
        return train(*told, callback=lambda *_: signal.raise_signal(signal.SIGINT), **settings)

    monkeypatch.setattr(paper, "train", stopped)
    assert main(arguments) == STOPPED
    assert (tmp_path / "spq.state").exists() and not file.exists()
    monkeypatch.setattr(paper, "train", train)
    update, steps = loop.update, []
    monkeypatch.setattr(loop, "update", lambda *told: steps.append(told[6]) or update(*told))
    assert main(arguments) == 0
    assert steps and min(steps) > 0, "it went on; it did not begin anew"
    again, _ = read_tensors(file, "checkpoint")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_one_command_trains_with_the_published_numbers_in_the_papers_split(tmp_path, monkeypatch, like_cifar10):
    seen = []

    def train(method, images, split, settings, **_):
        seen.append((method, split, settings))
        raise ValueError("seen enough")

    judged = []
    train_and_judge = paper_spq.train_and_judge

    def noted(*told, k, **more):
        judged.append(k)
        return train_and_judge(*told, k=k, **more)

    monkeypatch.setattr(paper_spq, "train_and_judge", noted)
    monkeypatch.setattr(paper, "train", train)
    monkeypatch.setattr("retrieval_lib.__main__.load", lambda name: {"cifar10": like_cifar10}[name])
    assert main(["paper", "spq", "--dataset", "cifar10", "--weights", str(tmp_path / "spq.safetensors")]) == 1
    ((method, split, settings),) = seen
    search = split.searches["test"]
    assert (len(search.query), len(search.database)) == (10_000, 50_000)
    assert not torch.isin(split.train, search.query).any()
    told = (settings.batch_size, settings.optimizer, settings.momentum, settings.learning_rate, settings.weight_decay)
    assert told == (256, "adam", 0.9, 3e-4, 1e-5)
    assert len(split.train) == 45_000 and settings.steps == 2000 * 175 and settings.clip == 0.0
    assert judged == [1000]
    own = method.settings
    assert (own.bits, own.codewords, own.dimension, own.hidden) == (32, 16, 16, 512)
    assert (own.sharpness, own.temperature, own.search) == (5.0, 0.5, "Euclidean")
    assert (own.assignment, own.own_view, own.balance) == ("soft", "never", 0.0)
    view = own.view
    assert (view.crop, view.crop_area, view.flip) == (1.0, (0.08, 1.0), 0.5)
    assert (view.jitter, view.jitter_strength, view.grey, view.blur) == (0.8, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5)
    assert method.codebooks.shape == (8, 16, 16)


def test_stopped_while_it_judges_it_is_not_trained_again(arguments, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as change:
        change.setattr(paper, "judge_method", stop)
        assert main(arguments) == STOPPED
    assert (tmp_path / "spq.state").exists()
    monkeypatch.setattr(loop, "update", stop)
    assert main(arguments) == 0
