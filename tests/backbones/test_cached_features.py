"""Features on disk: the same again, whole or not at all, resumed, and refused when damaged."""

import functools
import resource

import pytest
import torch

from retrieval_lib.backbones import SmallResNet, cached, cached_features
from retrieval_lib.data import ImageSet
from retrieval_lib.progress import ProgressLine


class CountingResNet(SmallResNet):
    """Counts the images it sees, and is interrupted at a given batch."""

    interrupt_at = None
    batches = images = 0

    def forward(self, images):
        self.batches += 1
        if self.batches == self.interrupt_at:
            raise KeyboardInterrupt
        self.images += len(images)
        return super().forward(images)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(cached, "BATCH_IMAGES", 4)
    monkeypatch.setattr(cached, "CHUNK_IMAGES", 8)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        name="random",
        source="drawn by the test",
        images=torch.randint(0, 256, (30, 1, 28, 28), dtype=torch.uint8, generator=generator),
        labels=torch.zeros(30, dtype=torch.int64),
        class_names=("a",),
        part=torch.zeros(30, dtype=torch.int64),
        content_hash="1" * 64,
    )


def backbone(**settings):
    return CountingResNet(channels=1, width=4, **settings)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_features_are_the_backbones_own(images, tmp_path):
    indices = torch.tensor([7, 29, 0, 3, 11])
    features = cached_features(images, backbone(), indices, folder=tmp_path)
    expected = backbone().eval()(images.images[indices].float() / 255)
    assert torch.equal(features.indices, indices)
    assert features.values.dtype == torch.float32
    torch.testing.assert_close(features.values, expected, rtol=1e-3, atol=1e-3)  # float16 keeps 11 binary digits


def test_the_second_call_reads_and_gives_the_same(images, tmp_path):
    first = cached_features(images, backbone(), folder=tmp_path)
    again = backbone()
    second = cached_features(images, again, folder=tmp_path)
    assert again.images == 0
    assert torch.equal(first.values, second.values)
    assert len(files(tmp_path)) == 1  # no chunks are left


def test_anything_that_changes_the_features_changes_the_file(images, tmp_path):
    cached_features(images, backbone(), folder=tmp_path)
    other_images = ImageSet(**{**vars(images), "content_hash": "2" * 64})
    for data, network, indices in (
        (other_images, backbone(), None),
        (images, backbone(seed=1), None),
        (images, backbone(statistics=((0.5,), (0.5,))), None),
        (images, backbone(autocast=torch.bfloat16), None),
        (images, backbone(), torch.arange(29)),
        (images, backbone(), torch.arange(30).flip(0)),
    ):
        before = len(files(tmp_path))
        cached_features(data, network, indices, folder=tmp_path)
        assert network.images == (30 if indices is None else len(indices))
        assert len(files(tmp_path)) == before + 1


def test_an_interrupted_run_goes_on_where_it_was_and_ends_the_same(images, tmp_path):
    whole = cached_features(images, backbone(), folder=tmp_path / "whole").values
    interrupted = backbone()
    interrupted.interrupt_at = 6  # the second batch of the third chunk
    folder = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        cached_features(images, interrupted, folder=folder)
    assert [path.name for path in sorted(folder.rglob("0*.safetensors"))] == [
        "000000000.safetensors",
        "000000008.safetensors",
    ]
    resumed = backbone()
    assert torch.equal(cached_features(images, resumed, folder=folder).values, whole)
    assert resumed.images == 30 - 16
    assert files(folder) == files(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["truncated", "another chunk"])
def test_a_damaged_chunk_is_computed_again(damage, images, tmp_path, capsys):
    whole = cached_features(images, backbone(), folder=tmp_path / "whole").values
    interrupted = backbone()
    interrupted.interrupt_at = 6
    with pytest.raises(KeyboardInterrupt):
        cached_features(images, interrupted, folder=tmp_path)
    (chunk,) = tmp_path.rglob("000000008.safetensors")
    if damage == "truncated":
        chunk.write_bytes(chunk.read_bytes()[:-3])
    else:
        chunk.write_bytes(chunk.with_name("000000000.safetensors").read_bytes())
    resumed = backbone()
    assert torch.equal(cached_features(images, resumed, folder=tmp_path).values, whole)
    assert resumed.images == 30 - 8
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "another description"])
def test_a_damaged_file_is_noticed_and_replaced(damage, images, tmp_path, capsys):
    first = cached_features(images, backbone(), folder=tmp_path).values
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-100]
    elif damage == "one bit":
        content[-1] ^= 1
    elif damage == "empty":
        content = b""
    else:
        content = content.replace(b"CountingResNet", b"AnotherResNet_")
    path.write_bytes(content)
    network = backbone()
    assert torch.equal(cached_features(images, network, folder=tmp_path).values, first)
    assert network.images == 30
    assert "damaged or altered" in capsys.readouterr().out
    network = backbone()
    cached_features(images, network, folder=tmp_path)
    assert network.images == 0


def test_a_full_disk_leaves_no_file_and_costs_no_features(images, tmp_path, capsys):
    expected = cached_features(images, backbone(), folder=tmp_path / "roomy").values
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the system then refuses to write further
    try:
        found = cached_features(images, backbone(), folder=tmp_path / "full").values
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(found, expected)
    assert [path for path in (tmp_path / "full").rglob("*") if path.is_file()] == []
    assert "not kept" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_costs_no_features(images, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    features = cached_features(images, backbone(), folder=tmp_path / "file" / "below")
    assert features.values.shape == (30, 16)
    assert "not kept" in capsys.readouterr().out


def test_features_can_be_trained_on_and_the_backbone_keeps_its_mode(images, tmp_path):
    network = backbone().train()
    features = cached_features(images, network, folder=tmp_path)
    assert network.training
    assert network.state_dict()["stem.1.num_batches_tracked"] == 0  # batch norm has not seen these images
    head = torch.nn.Linear(16, 2)
    head(features.values).sum().backward()
    assert head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        (torch.tensor([0, 30]), "0 to 30.*30 images"),
        (torch.tensor([-1, 2]), "-1 to 2"),
        (torch.tensor([1, 1]), "twice"),
        (torch.tensor([[1]]), r"\(1, 1\)"),
        (torch.tensor([1.0]), "float32"),
        (torch.tensor([], dtype=torch.int64), "n > 0"),
    ],
)
def test_wrong_indices_are_refused(images, indices, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        cached_features(images, backbone(), indices, folder=tmp_path)


def test_progress_is_one_line_that_is_removed(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cached, "ProgressLine", functools.partial(ProgressLine, seconds_between=0))
    cached_features(images, backbone(), folder=tmp_path)
    captured = capsys.readouterr()
    assert "Features of random by CountingResNet: 28 of 30" in captured.out
    assert captured.out.split("\r")[-1].strip() == ""
    assert captured.err == ""
