"""The paper's setting of DHD, started on a tiny made-up folder of images with several labels each."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval_lib.__main__ import main
from retrieval_lib.training.checkpoints import read_tensors

LABELS = ("cat", "dog;grass", "grass")


@pytest.fixture
def arguments(tmp_path):
    """A folder of noise, its lists, and the command's arguments for two epochs of two steps."""
    noise = np.random.default_rng(0)
    names = {"train": range(20), "query": range(20, 26), "database": range(20)}
    told = ["paper", "dhd", "--images", str(tmp_path), "--weights", str(tmp_path / "dhd.safetensors")]
    for i in range(26):
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / f"{i}.png")
    for name, numbers in names.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label"), *((f"{i}.png", LABELS[i % 3]) for i in numbers)])
        told += [f"--{name}", str(tmp_path / f"{name}.csv")]
    return [*told, "--random", "--size", "64", "--epochs", "2", "--batch-size", "9", "--bits", "12", "--k", "10"]


def test_it_trains_steps_keeps_the_weights_and_judges_the_queries(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    told = capsys.readouterr().out
    scores = [float(line.split(": ")[-1]) for line in told.splitlines() if line.startswith("test: mAP@10")]
    assert len(scores) == 4 and all(0 < score <= 1 for score in scores)
    tensors, about = read_tensors(tmp_path / "dhd.safetensors")
    assert tensors["proxies"].shape == (3, 12) and about["settings"]["teacher_strength"] == 0.2
    assert about["history"]["steps"][-1] == 4
    assert about["history"]["weights_before"] != about["history"]["weights_after"]
    assert not (tmp_path / "dhd.state").exists()
    assert torch.isfinite(tensors["head.linear.weight"]).all()


def test_a_missing_list_ends_the_command_with_a_message(arguments, tmp_path, capsys):
    (tmp_path / "query.csv").unlink()
    assert main(arguments) == 1
    assert "query.csv does not exist" in capsys.readouterr().err
