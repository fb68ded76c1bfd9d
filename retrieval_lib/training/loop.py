"""The training loop that all methods share."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from retrieval_lib.data import ImageSet, Split
from retrieval_lib.methods.base import Batch, Method, describe
from retrieval_lib.progress import ProgressLine
from retrieval_lib.training.batches import check_unlabelled, derived_seed, step_batch, steps_per_epoch, view_makers
from retrieval_lib.training.history import History, Snapshot, weights_hash
from retrieval_lib.training.interrupts import deferred_interrupt
from retrieval_lib.training.settings import TrainingSettings, learning_rate
from retrieval_lib.training.state import load_state, run_identity, save_state
from retrieval_lib.training.validation import validation_score

SNAPSHOT_POINTS = 1000
Callback = Callable[[Method, History], None]


class TrainingDiverged(FloatingPointError):
    """A loss term became NaN or infinite; the message names it."""


def train(
    method: Method,
    images: ImageSet,
    split: Split,
    settings: TrainingSettings,
    *,
    callback: Callback | None = None,
    state_path: Path | None = None,
    snapshot_count: int = SNAPSHOT_POINTS,
    points: Tensor | None = None,
    initial: str = "random",
) -> History:
    """Train a method on the split's training images; judge it on its validation part.

    Interrupted with Ctrl-C, the run saves its state, if it was told where, and can be started again with the same
    call: its result is then that of a run that was never interrupted.

    Args:
        method: trained in place, on the device of its weights.
        images: the data set.
        split: `train` is learned from, and `unlabelled` by a method that wants such images; `searches["validation"]`
            is judged, where the split has one.
        settings: how long and how fast.
        callback: called after each evaluation, for instance to draw.
        state_path: where the state is kept. When the run is over it holds the whole run: the caller removes it when
            what came out is safe elsewhere.
        snapshot_count: how many validation queries the snapshots show, the first; test queries where there are none.
        points: (n,) positions of the images that the snapshots show instead.
        initial: what the weights are now, in words, for the history.

    Returns:
        The run's history. The method is left in evaluation mode.

    Raises:
        TrainingDiverged: a loss term is no finite number.
        ValueError: there are fewer training images than a batch holds, or no batches by class for a method that asks
            for them (see `steps_per_epoch`), or too few unlabelled images for one that learns from such, or the saved
            state is of another run.
    """
    if len(split.train) < settings.batch_size:
        raise ValueError(
            f"batch_size={settings.batch_size}: the split has only {len(split.train)} training images; take fewer."
        )
    if method.unlabelled_views:
        check_unlabelled(split.unlabelled, settings)
    per_epoch = steps_per_epoch(method, images, split.train, settings)
    search = split.searches.get("validation")
    if points is None:
        points = (search or split.searches["test"]).query[:snapshot_count]
    history = History(points, weights_before=weights_hash(method), initial=initial)
    optimizer = make_optimizer(method, settings)
    scaler = torch.amp.GradScaler(enabled=method.backbone.autocast == torch.float16)
    run = run_identity(method, settings, split.hash, points, initial)
    step, sums, spent = 0, {}, 0.0
    if state_path is not None and Path(state_path).is_file():
        step, sums, spent = load_state(Path(state_path), method, optimizer, scaler, history, run)
    makers = view_makers(method, images)
    started = time.monotonic()
    line = ProgressLine("Training", settings.steps, earlier=step)

    def save() -> None:
        if state_path is not None:
            now = spent + time.monotonic() - started
            save_state(Path(state_path), step, method, optimizer, scaler, history, run, sums, now)

    def record_now() -> None:
        since = step - (history.steps[-1] if history.steps else 0)
        means = {name: value / since for name, value in sums.items()}
        history.add(step, means, learning_rate(settings, step - 1), spent + time.monotonic() - started)
        sums.clear()

    def evaluate_now() -> None:
        if not history.score_steps or history.score_steps[-1] != step:
            if search is not None:
                history.scores.append(validation_score(method, images, search))
                history.score_steps.append(step)
            if not history.snapshots or history.snapshots[-1].step != step:
                history.snapshots.append(snapshot(method, images.images[points], step))
        if callback is not None:
            line.close()
            callback(method, history)

    try:
        with deferred_interrupt() as interrupted:
            if step == 0:
                evaluate_now()
            method.train()
            while step < settings.steps:
                terms = update(method, optimizer, scaler, settings, images, split.train, step, makers, split.unlabelled)
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value
                step += 1
                line.update(step, _note(history, step, per_epoch))
                if step % settings.evaluate_every == 0 or step == settings.steps:
                    record_now()
                    history.weights_after = weights_hash(method)
                    evaluate_now()
                if interrupted():
                    save()
                    raise KeyboardInterrupt
                if step % settings.save_every == 0 or step == settings.steps:
                    save()
    finally:
        line.close()
    method.eval()
    return history


def update(
    method: Method,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    settings: TrainingSettings,
    images: ImageSet,
    train_positions: Tensor,
    step: int,
    makers: list,
    unlabelled: Tensor | None = None,
) -> dict[str, float]:
    """One step: its loss terms, by name.

    Raises:
        TrainingDiverged: as `learn_from`.
    """
    batch = step_batch(method, images, train_positions, step, settings, makers, unlabelled)
    return learn_from(batch, method, optimizer, scaler, settings, step)


def learn_from(
    batch: Batch,
    method: Method,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    settings: TrainingSettings,
    step: int,
) -> dict[str, float]:
    """One update of the weights by a batch: its loss terms, by name.

    What the method's layers draw, dropout for instance, is a function of seed and step, as the batch is; the global
    random state is left alone.

    Args:
        batch: as `step_batch` gives it.
        method: trained in place.
        optimizer: as `make_optimizer` gives it.
        scaler: of the gradients; one that is not enabled changes nothing.
        settings: learning rate, seed and clip.
        step: counted from 0.

    Raises:
        TrainingDiverged: a term is no finite number. The parameters are then as they were; running statistics, of batch
            normalization for instance, have seen the batch.
    """
    rate = learning_rate(settings, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    device = next(method.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(settings.seed, "layers", step))
        terms = method.loss_terms(batch, step / settings.steps)
    values = {name: float(term.detach()) for name, term in terms.items()}
    wrong = [name for name, value in values.items() if not abs(value) < float("inf")]
    if wrong:
        raise TrainingDiverged(
            f"Step {step}: the term {wrong[0]!r} is {values[wrong[0]]}. Lower the learning rate (now {rate:.2g}), set "
            "clip, or look at the images of this step."
        )
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(sum(terms.values())).backward()
    if settings.clip:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(method.parameters(), settings.clip)
    scaler.step(optimizer)
    scaler.update()
    return values


def snapshot(method: Method, images: Tensor, step: int) -> Snapshot:
    """What the method makes now of (n, C, H, W) uint8 images."""
    descriptors, quantizer = describe(method, images), method.quantizer()
    if quantizer is None:
        return Snapshot(step, descriptors.half())
    return Snapshot(step, descriptors.half(), method.encode(descriptors).int(), quantizer.codebooks.half())


def make_optimizer(method: Method, settings: TrainingSettings) -> Optimizer:
    """Groups of parameters by their share of the learning rate and by whether they decay."""
    backbone = {id(p) for p in method.backbone.parameters()}
    groups = []
    for inside, share in ((True, settings.backbone_rate), (False, 1.0)):
        for decays in (True, False):
            chosen = [
                p for name, p in method.named_parameters()
                if (id(p) in backbone) == inside and _decays(name, p) == decays
            ]  # fmt: skip
            decay = settings.weight_decay if decays else 0.0
            if chosen:
                groups.append({"params": chosen, "share": share, "weight_decay": decay})
    if settings.optimizer == "adam":
        return AdamW(groups, lr=settings.learning_rate, betas=(settings.momentum, 0.999))
    return SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0)


def _decays(name: str, parameter: nn.Parameter) -> bool:
    free = ("proxies", "prototypes", "codebooks", "centres")  # points in the descriptors' space, not maps into it
    return parameter.ndim > 1 and not any(word in name for word in free)


def _note(history: History, step: int, per_epoch: int) -> str:
    told = f"epoch {step // per_epoch + 1}"
    return told + (f", validation mAP {history.scores[-1]:.3f}" if history.scores else "")
