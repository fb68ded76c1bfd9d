"""The paper's setting of DHD, started on a tiny made-up folder of images with several labels each."""

import pytest
import torch

from retrieval_lib.__main__ import main
from retrieval_lib.training.checkpoints import read_tensors


@pytest.fixture
def arguments(lists_of_noise, tmp_path):
    """The command's arguments for two epochs of two steps."""
    told = ["paper", "dhd", *lists_of_noise, "--weights", str(tmp_path / "dhd.safetensors")]
    return [*told, "--random", "--size", "64", "--epochs", "2", "--batch-size", "9", "--bits", "12", "--k", "10"]


def test_it_trains_steps_keeps_the_weights_and_judges_the_queries(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    told = capsys.readouterr().out
    scores = [float(line.split(": ")[-1]) for line in told.splitlines() if line.startswith("test: mAP@10")]
    assert len(scores) == 4 and all(0 < score <= 1 for score in scores)
    tensors, about = read_tensors(tmp_path / "dhd.safetensors", "checkpoint")
    assert tensors["proxies"].shape == (3, 12) and about["settings"]["teacher_strength"] == 0.2
    assert about["history"]["steps"][-1] == 4
    assert about["history"]["weights_before"] != about["history"]["weights_after"]
    assert not (tmp_path / "dhd.state").exists()
    assert torch.isfinite(tensors["head.linear.weight"]).all()


def test_the_seed_decides_all_that_is_drawn(arguments, tmp_path):
    """Of a network with dropout: the random start, and what is hidden from each step."""

    def weights(*told):
        assert main([*arguments, "--epochs", "1", *told]) == 0
        return read_tensors(tmp_path / "dhd.safetensors", "checkpoint")[0]

    first, again, other = weights(), weights(), weights("--seed", "1")
    assert all(torch.equal(first[name], again[name]) for name in first)
    kernels = "backbone.network.features.0.weight"
    assert (first[kernels] - other[kernels]).abs().max() > 0.01, "another start, not only other steps"


def test_a_missing_list_ends_the_command_with_a_message(arguments, tmp_path, capsys):
    (tmp_path / "query.csv").unlink()
    assert main(arguments) == 1
    assert "query.csv does not exist" in capsys.readouterr().err
