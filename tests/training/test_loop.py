"""The loop: it learns, it repeats itself, it goes on exactly where it was killed, it stops at NaN."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from retrieval_lib.backbones.fast_convnet import FastConvNet
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.training import TrainingDiverged, learning_rate, load_checkpoint, train
from retrieval_lib.training.history import MIME
from retrieval_lib.training.loop import make_optimizer
from tests.training import toy

DRAWING = pytest.mark.parametrize("made", ["small_method", "dropping_method"])  # without dropout, and with it


def weights(method):
    return {name: tensor.clone() for name, tensor in method.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns(make_method, stripes, split, short):
    method = make_method()
    history = train(method, stripes, split, replace(short, steps=60, evaluate_every=20, learning_rate=1e-2))
    assert history.scores[-1] > 0.9 > history.scores[0] + 0.15
    assert history.losses[-1] < history.losses[0] and not method.training
    assert history.score_steps == [0, 20, 40, 60] and history.steps == [20, 40, 60]


@DRAWING
def test_the_same_seed_gives_the_same_run_and_another_another(made, stripes, split, short):
    runs = []
    for seed in (0, 0, 1):
        method = getattr(toy, made)()
        torch.rand(seed + 5)  # the global random state does not matter
        before = torch.get_rng_state()
        runs.append((train(method, stripes, split, replace(short, seed=seed)), weights(method)))
        assert torch.equal(torch.get_rng_state(), before), "and it is left alone"
    (first, after), (again, after_again), (other, after_other) = runs
    assert same(after, after_again) and first.terms == again.terms and first.scores == again.scores
    assert not same(after, after_other) and first.terms != other.terms


def test_history_tells_all_and_shows_it_to_a_notebook(make_method, stripes, split, short):
    method, seen = make_method(), []
    history = train(method, stripes, split, short, callback=lambda m, h: seen.append(len(h.snapshots)))
    assert seen == [1, 2, 3, 4] and [s.step for s in history.snapshots] == [0, 5, 10, 12]
    assert set(history.terms) == {"hash proxy", "self-distillation", "quantization"}
    assert history.snapshots[0].descriptors.shape == (30, 8) and history.rates[-1] == learning_rate(short, 11)
    kept = history._repr_mimebundle_()[MIME]
    assert kept["steps"] == 12 and kept["seconds"] > 0 and kept["weights_before"] != kept["weights_after"]
    assert len(kept["losses"]) == 3


def test_snapshots_can_show_images_of_ones_own_choice(make_method, stripes, split, short):
    chosen = split.searches["test"].database[:7]
    history = train(make_method(), stripes, split, short, points=chosen)
    assert torch.equal(history.points, chosen)
    assert [len(s.descriptors) for s in history.snapshots] == [7] * len(history.snapshots)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from retrieval_lib.training import loop
from tests.training import toy
update, count = loop.update, [0]

def counted(*arguments):
    count[0] += 1
    if count[0] == 7:
        os.kill(os.getpid(), signal.{signal})
    return update(*arguments)

loop.update = counted
loop.train(toy.{made}(), toy.striped_images(), toy.striped_split(), toy.SHORT, state_path=Path({state!r}))
"""


@DRAWING
@pytest.mark.parametrize(("how", "evaluations"), [("SIGKILL", 3), ("SIGINT", 2)])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    made, stripes, split, short, tmp_path, repository, how, evaluations
):
    make_method = getattr(toy, made)
    whole = make_method()
    expected = train(whole, stripes, split, short)
    state = tmp_path / "run.safetensors"
    code = KILLED.format(state=str(state), signal=how, made=made)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True
    )
    assert done.returncode != 0 and state.is_file(), done.stderr.decode()
    method, steps = make_method(), []
    history = train(method, stripes, split, short, state_path=state, callback=lambda m, h: steps.append(len(h.steps)))
    assert same(weights(whole), weights(method))
    assert history.terms == expected.terms and history.scores == expected.scores
    assert len(steps) == evaluations, "it went on; it did not begin anew"
    assert all(
        torch.equal(a.descriptors, b.descriptors) for a, b in zip(expected.snapshots, history.snapshots, strict=True)
    )
    again = train(make_method(), stripes, split, short, state_path=state)
    assert again.terms == history.terms and again.seconds == history.seconds, "a finished run is not trained again"


def stopped_at_five(method, images, split, settings, state):
    """A run that is interrupted at its first evaluation, and leaves its state."""

    def stop(method, history):
        if history.score_steps[-1] == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(method, images, split, settings, callback=stop, state_path=state)


def test_the_same_call_goes_on_with_the_same_object(make_method, stripes, split, short, tmp_path):
    state, method = tmp_path / "run.safetensors", make_method()
    stopped_at_five(method, stripes, split, short, state)
    history = train(method, stripes, split, short, state_path=state)
    assert history.terms == train(make_method(), stripes, split, short).terms
    again = train(method, stripes, split, short, state_path=state)
    assert again.seconds == history.seconds, "a finished run is not trained again"


def test_the_state_of_another_run_is_refused(make_method, stripes, split, short, tmp_path):
    state = tmp_path / "run.safetensors"
    stopped_at_five(make_method(), stripes, split, short, state)
    with pytest.raises(ValueError, match="state of another run: it differs in settings"):
        train(make_method(), stripes, split, replace(short, learning_rate=0.1), state_path=state)
    with pytest.raises(ValueError, match="differs in start"):
        train(make_method(), stripes, split, short, state_path=state, initial="other weights")
    with pytest.raises(ValueError, match="is a state; a checkpoint is wanted"):
        load_checkpoint(state, make_method())
    with pytest.raises(ValueError, match="differs in method"):
        train(make_method(distillation=0.5), stripes, split, short, state_path=state)
    with pytest.raises(ValueError, match="differs in method, weights"):
        train(make_method(bits=16), stripes, split, short, state_path=state)
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged"):
        train(make_method(), stripes, split, short, state_path=state)


def fast_method(stride=1, autocast=None):
    network = FastConvNet(1, (4, 8, 8), stride, autocast=autocast)
    return DHD(network, 3, DHDSettings(bits=8, strong=toy.GENTLE))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"stride": 2}, r"differs in backbone\."),
        ({"autocast": torch.bfloat16}, r"differs in backbone\."),
    ],
)
def test_a_state_knows_its_backbone(stripes, split, short, tmp_path, other, told):
    state = tmp_path / "run.safetensors"
    stopped_at_five(fast_method(), stripes, split, short, state)
    with pytest.raises(ValueError, match=told):
        train(fast_method(**other), stripes, split, short, state_path=state)


def test_a_state_knows_another_class_of_the_same_weights(make_method, stripes, split, short, tmp_path):
    state = tmp_path / "run.safetensors"
    stopped_at_five(make_method(), stripes, split, short, state)
    with pytest.raises(ValueError, match=r"differs in backbone\."):
        train(toy.dropping_method(), stripes, split, short, state_path=state)


@pytest.mark.parametrize("shown", [{"snapshot_count": 7}, {"points": torch.arange(30)}])
def test_a_state_knows_what_its_snapshots_show(make_method, stripes, split, short, tmp_path, shown):
    state = tmp_path / "run.safetensors"
    stopped_at_five(make_method(), stripes, split, short, state)
    with pytest.raises(ValueError, match=r"differs in points\."):
        train(make_method(), stripes, split, short, state_path=state, **shown)


def test_a_term_that_is_nan_stops_the_run_and_is_named(make_method, stripes, split, short):
    method = make_method()
    terms = method.loss_terms

    def spoiled(batch, progress):
        found = terms(batch, progress)
        if progress > 0.4:
            found["quantization"] = found["quantization"] * float("nan")
        return found

    method.loss_terms = spoiled
    with pytest.raises(TrainingDiverged, match=r"Step 5: the term 'quantization' is nan"):
        train(method, stripes, split, short)
    assert all(torch.isfinite(tensor.float()).all() for tensor in method.state_dict().values())


def test_each_step_and_each_view_hides_other_values(stripes, split, short):
    method, hidden = toy.dropping_method(), []

    def note(layer, given, made):
        if layer.training:
            hidden.append(((made == 0) & (given[0] != 0)).numpy().tobytes())

    method.backbone.dropout.register_forward_hook(note)
    train(method, stripes, split, replace(short, steps=3))
    assert len(hidden) == len(set(hidden)) == 3 * 2


def test_labels_are_withheld_from_a_method_that_must_not_see_them(make_method, stripes, split, short):
    method = make_method()
    method.uses_labels = False
    method.loss_terms = lambda batch, progress: {"none": (batch.targets is None) * method.proxies.square().mean()}
    assert train(method, stripes, split, short).terms["none"][0] > 0


def test_the_gradient_is_clipped(make_method, stripes, split, short):
    moved = []
    for clip in (0.0, 1e-6):
        method = make_method()
        before = weights(method)
        train(method, stripes, split, replace(short, steps=3, optimizer="sgd", clip=clip, weight_decay=0.0))
        moved.append(sum(float((method.state_dict()[n] - w).norm()) for n, w in before.items() if "weight" in n))
    assert moved[1] < 0.01 * moved[0]


def test_shares_and_decay_of_parameters(make_method, short):
    method = make_method()
    groups = make_optimizer(method, replace(short, backbone_rate=0.05, weight_decay=0.3)).param_groups
    of = {id(p): (g["share"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(of) == len(list(method.parameters()))
    assert of[id(method.proxies)] == (1.0, 0.0) and of[id(method.head.linear.weight)] == (1.0, 0.3)
    assert of[id(method.backbone.stem[0].weight)] == (0.05, 0.3) and of[id(method.backbone.stem[1].weight)] == (
        0.05,
        0.0,
    )


def test_too_few_images_are_told(make_method, stripes, split, short):
    with pytest.raises(ValueError, match="batch_size=512: the split has only 180"):
        train(make_method(), stripes, split, replace(short, batch_size=512))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"optimizer": "lamb"},
        {"learning_rate": 0.0},
        {"warm_up": 12},
        {"clip": -1},
        {"momentum": 1.0},
        {"decay": 0.0},
        {"decay": 1.5},
        {"decay_every": 0},
    ],
)
def test_wrong_settings_are_named(short, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(short, **wrong)


def test_the_learning_rate_rises_and_falls(short):
    rates = [learning_rate(replace(short, learning_rate=1.0, warm_up=4), step) for step in range(12)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0] and 0 < rates[-1] < 0.05
    assert all(a >= b for a, b in pairwise(rates[4:]))


def test_the_learning_rate_falls_in_stairs(short):
    stairs = replace(short, learning_rate=1.0, warm_up=0, decay=0.9, decay_every=5)
    assert [learning_rate(stairs, step) for step in range(12)] == pytest.approx([1.0] * 5 + [0.9] * 5 + [0.81] * 2)
    late = replace(stairs, warm_up=2)
    assert [learning_rate(late, step) for step in range(8)] == pytest.approx([0.5, 1.0] + [1.0] * 5 + [0.9])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_momentum_reaches_the_optimizer(make_method, short, optimizer):
    made = make_optimizer(make_method(), replace(short, optimizer=optimizer, momentum=0.5))
    told = [group["betas"][0] if optimizer == "adam" else group["momentum"] for group in made.param_groups]
    assert set(told) == {0.5}
