"""GPQ in its paper's setting: its network for small images, few labels, and a database that is learned from."""

from dataclasses import asdict
from pathlib import Path

from retrieval_lib.backbones import channel_statistics, fast_autocast, load_backbone
from retrieval_lib.backbones.normalisation import Normalise
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.budgets import machine_device
from retrieval_lib.experiments.paper import train_and_judge
from retrieval_lib.experiments.values import Value
from retrieval_lib.files import sha256_of_file
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import TrainingSettings, load_checkpoint

SIZE = 32  # pixels


def train_paper_gpq(
    images: ImageSet,
    split: Split,
    weights: Path,
    *,
    bits: int = 48,
    steps: int = 3000,
    batch_size: int = 500,
    k: int | None = None,
    seed: int = 0,
    start: Path | None = None,
) -> list[Value]:
    """Train with the published settings, keep the weights, and judge the test queries.

    As published: 3,000 steps of 500 labelled and 500 unlabelled images; Adam with rate 2e-4, which falls to 0.95 of itself
    every 100 steps, and β1 = 0.5; shifts and mirroring; weights 0.1 of entropy and classification. Ours: a tenth of the
    labelled images is held out as validation queries (of CIFAR-10's 5,000 labels 4,500 are learned from), and pixels are
    normalised by the training images' statistics. The network is the paper's;
    no ImageNet weights of it come with this library, so it starts from `start` or at random.

    Args:
        images, split: a semi-supervised split, as `retrieval_lib.data.load_lists` gives it with `learn_from_database`.
        weights: the file to write; the state of an unfinished run is kept beside it.
        bits: length of a code, a multiple of 4.
        steps, batch_size: of the training.
        k: length of the judged ranking; None for all of it, as published.
        seed: of everything that is drawn.
        start: a checkpoint of the network `small-vgg` alone, for instance one that was trained on other images, whose
            statistics are not taken over; None starts from random weights.

    Raises:
        ValueError: the checkpoint does not fit; else as `train`.
        OSError: a file cannot be read or written.
    """
    device = machine_device()
    statistics = channel_statistics(images.images[split.train])
    backbone = load_backbone("small-vgg", seed=seed, statistics=statistics, autocast=fast_autocast(device))
    if start is not None:
        load_checkpoint(start, backbone)
        backbone.normalise = Normalise(backbone.channels, statistics)  # the file brought those of its own images
    settings = GPQSettings(bits=bits)
    method = GPQ(backbone, len(images.class_names), settings, seed).to(device)
    training = TrainingSettings(
        steps=steps, batch_size=batch_size, momentum=0.5, learning_rate=2e-4, weight_decay=0.0, decay=0.95,
        evaluate_every=min(300, steps), save_every=100, seed=seed,
    )  # fmt: skip
    initial = "random" if start is None else f"network of {start.name}, SHA-256 {sha256_of_file(start)[:16]}"
    about = {"network": "small-vgg", **asdict(settings)}
    return train_and_judge(method, images, split, training, weights, about, initial=initial, k=k)
