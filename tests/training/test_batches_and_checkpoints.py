"""What a step sees is fixed by the seed; what a file holds is what was saved, or it is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from retrieval_lib.data import Search
from retrieval_lib.evaluation import Hamming, Relevance, evaluate
from retrieval_lib.methods.base import describe
from retrieval_lib.training import (
    History,
    load_checkpoint,
    read_history,
    save_checkpoint,
    step_batch,
    validation_score,
)
from retrieval_lib.training.batches import step_indices, targets_of, view_makers
from retrieval_lib.training.history import weights_hash
from retrieval_lib.training.state import seconds_spent


def test_an_epoch_shows_each_image_once_and_the_next_in_another_order(split, short):
    epochs = [[step_indices(split.train, step, short) for step in range(first, first + 5)] for first in (0, 5)]
    for epoch in epochs:
        seen = torch.cat(epoch)
        assert len(seen) == 160 == len(seen.unique()) and torch.isin(seen, split.train).all()
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))


def test_a_batch_has_its_views_and_targets(make_method, stripes, split, short):
    method = make_method()
    makers = view_makers(method, stripes)
    first, again, later = (step_batch(method, stripes, split.train, step, short, makers) for step in (3, 3, 4))
    assert len(first.views) == 2 and first.views[0].shape == (32, 1, 28, 28) and first.targets.shape == (32, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.views, again.views, strict=True))
    assert not torch.equal(first.views[0], first.views[1]) and not torch.equal(first.views[0], later.views[0])
    indices = step_indices(split.train, 3, short)
    assert torch.equal(first.targets.argmax(1), stripes.labels[indices])


def test_targets_of_several_labels(stripes):
    several = torch.rand(240, 4) < 0.5
    images = type(stripes)(**{**stripes.__dict__, "labels": several})
    assert torch.equal(targets_of(images, torch.tensor([5, 2])), several[[5, 2]].float())


def test_describing_is_in_evaluation_mode_and_leaves_the_mode(make_method, stripes):
    method = make_method().train()
    before = {name: t.clone() for name, t in method.state_dict().items()}
    parts = describe(method, stripes.images[:50], batch_size=7)
    assert method.training and all(torch.equal(t, before[n]) for n, t in method.state_dict().items())
    method.eval()
    torch.testing.assert_close(parts, method.descriptors(stripes.images[:50].float() / 255).detach(), atol=1e-5, rtol=0)


def test_the_validation_score_is_that_of_a_search_written_out(make_method, stripes, split):
    method, search = make_method(), split.searches["validation"]
    query, database = (describe(method, stripes.images[i]) >= 0 for i in (search.query, search.database))
    relevance = Relevance(stripes.labels[search.query], stripes.labels[search.database])
    expected = evaluate(Hamming(query, database), relevance, k=1000).mean_average_precision
    assert validation_score(method, stripes, search) == pytest.approx(expected)
    fewer = validation_score(method, stripes, Search(search.query, search.database), largest=60)
    assert fewer == validation_score(method, stripes, search, largest=60) != pytest.approx(expected, abs=1e-6)


@pytest.fixture
def saved(make_method, tmp_path):
    method = make_method()
    history = History(torch.arange(3))
    history.add(5, {"hash proxy": 0.5}, 0.1, 2.0)
    path = tmp_path / "dhd.safetensors"
    save_checkpoint(path, method, {"bits": 8}, history)
    return path, method


def test_loading_gives_the_weights_settings_and_history(saved, make_method):
    path, method = saved
    other = make_method()
    with torch.no_grad():
        other.proxies.add_(1)
    told = load_checkpoint(path, other)
    assert all(torch.equal(t, method.state_dict()[n]) for n, t in other.state_dict().items())
    assert told["settings"] == {"bits": 8} and told["history"]["terms"] == {"hash proxy": [0.5]}


def test_the_story_of_a_run_is_read_without_its_method(saved):
    history, settings = read_history(saved[0])
    assert settings == {"bits": 8}
    assert (history.steps, history.terms, history.rates, history.seconds) == ([5], {"hash proxy": [0.5]}, [0.1], [2.0])
    assert len(history.points) == 0 and not history.snapshots


def test_half_precision_halves_the_file(saved, make_method, tmp_path):
    path, method = saved
    save_checkpoint(tmp_path / "half.safetensors", method, {}, History(torch.arange(3)), torch.float16)
    other = make_method()
    load_checkpoint(tmp_path / "half.safetensors", other)
    torch.testing.assert_close(other.proxies, method.proxies, atol=1e-3, rtol=0)
    assert other.proxies.dtype == torch.float32
    assert (tmp_path / "half.safetensors").stat().st_size < 0.75 * path.stat().st_size


@pytest.mark.parametrize(("value", "told"), [(1e5, "as torch.float16; its largest value is 1e.05"), (torch.nan, "NaN")])
def test_weights_that_a_file_cannot_hold_are_refused(make_method, tmp_path, value, told):
    method, path = make_method(), tmp_path / "half.safetensors"
    with torch.no_grad():
        method.proxies[0, 0] = value
    with pytest.raises(ValueError, match=f"proxies holds NaN or infinite values {told}" if value == 1e5 else told):
        save_checkpoint(path, method, {}, History(torch.arange(3)), torch.float16)
    assert not path.exists()


def test_other_shapes_are_named(saved, make_method):
    with pytest.raises(ValueError, match=r"has shape \(8,\), but the module has \(16,\)|has shape \(8, 16\), but"):
        load_checkpoint(saved[0], make_method(bits=16))


def test_a_message_tells_the_settings_but_not_what_fills_a_page(make_method, tmp_path):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, make_method(), {"bits": 8, "use": list(range(1000))}, History(torch.arange(3)))
    with pytest.raises(ValueError, match=r"settings in the file: \{'bits': 8\}$"):
        load_checkpoint(path, make_method(bits=16))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("proxies"), "lacks proxies"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra too many"),
        (lambda tensors: tensors["proxies"].fill_(torch.nan), "proxies holds NaN"),
    ],
)
def test_other_weights_are_named(saved, make_method, tmp_path, change, told):
    tensors = load_file(saved[0])
    change(tensors)
    about = json.dumps({"format": 1, "settings": {}, "history": {}})
    save_file(tensors, tmp_path / "x.safetensors", {"about": about})
    with pytest.raises(ValueError, match=told):
        load_checkpoint(tmp_path / "x.safetensors", make_method())


def test_damaged_missing_and_foreign_files(saved, make_method, tmp_path):
    path = saved[0]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load_checkpoint(path, make_method())
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        read_history(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_checkpoint(tmp_path / "gone.safetensors", make_method())
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "foreign.safetensors", make_method())
    save_file({"a": torch.zeros(1)}, tmp_path / "newer.safetensors", {"about": json.dumps({"format": 2})})
    with pytest.raises(ValueError, match="has format 2; this version reads 1"):
        load_checkpoint(tmp_path / "newer.safetensors", make_method())


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ([1], "its header is no JSON object"),
        (None, "its header is no JSON object"),
        ({"format": 1}, "its header tells no settings, history"),
        ({"format": 1, "settings": {}}, "its header tells no history"),
        ({"format": 1, "settings": [1], "history": {}}, "its header tells no settings"),
        ({"format": 1, "settings": {}, "history": {"points": [], "moods": []}}, "its history tells of moods, points"),
    ],
)
def test_a_foreign_header_is_told(tmp_path, about, told):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"about": json.dumps(about)})
    with pytest.raises(ValueError, match=rf"no checkpoint of this library \({told}\)"):
        read_history(path)


@pytest.mark.parametrize("about", [[1], {"format": 1, "settings": {}}])
def test_no_weights_are_taken_from_a_file_with_a_foreign_header(make_method, tmp_path, about):
    path, method = tmp_path / "foreign.safetensors", make_method()
    weights = {name: (tensor + 1).contiguous() for name, tensor in method.state_dict().items()}
    save_file(weights, path, {"about": json.dumps(about)})
    before = weights_hash(method)
    with pytest.raises(ValueError, match="no checkpoint of this library"):
        load_checkpoint(path, method)
    assert weights_hash(method) == before


def test_a_state_with_a_foreign_header_is_told(tmp_path):
    path = tmp_path / "run.state"
    save_file({"a": torch.zeros(1)}, path, {"about": json.dumps({"format": 1, "kind": "state", "run": [1]})})
    with pytest.raises(
        ValueError, match=r"no state of this library \(its header tells no step, run, history, pending,"
    ):
        seconds_spent(path)


def test_no_pickle_is_ever_loaded(tmp_path, make_method):
    torch.save({"proxies": torch.zeros(1)}, tmp_path / "pickle.safetensors")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "pickle.safetensors", make_method())
