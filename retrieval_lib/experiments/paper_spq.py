"""SPQ in its paper's setting: ResNet-18 for small images, two thousand epochs, no label. Made for a GPU."""

from dataclasses import asdict
from pathlib import Path

from retrieval_lib.backbones import fast_autocast, load_backbone
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.budgets import machine_device
from retrieval_lib.experiments.paper import train_and_judge
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.spq import SPQ, SPQSettings
from retrieval_lib.training import TrainingSettings

SIZE = 32  # pixels


def train_paper_spq(
    images: ImageSet,
    split: Split,
    weights: Path,
    *,
    bits: int = 32,
    epochs: int = 2000,
    batch_size: int = 256,
    k: int = 1000,
    seed: int = 0,
) -> list[Value]:
    """Train with the published settings, keep the weights, and judge the test queries.

    As published: ResNet-18 for small images, from random weights and pixels as they are; Adam with rate 3e-4, weight
    decay 1e-5, batches of 256; 2,000 epochs; the search adds up plain Euclidean distances. Ours: a tenth of the training images
    is held out for validation (of CIFAR-10's 50,000 images 45,000 are learned from); weight decay is
    decoupled (AdamW) and spares biases and codebooks; the rate falls over
    the whole training (the published schedule is counted in batches and advanced once an epoch), and batch statistics
    are learned to the end (the published script freezes them after its first evaluation). Labels judge, no more.

    Args:
        images, split: as `retrieval_lib.data.load_lists` gives them.
        weights: the file to write; the state of an unfinished run is kept beside it.
        bits: length of a code, a multiple of 4.
        epochs, batch_size: of the training.
        k: length of the judged ranking.
        seed: of everything that is drawn.

    Raises:
        ValueError: as `train`.
        OSError: a file cannot be written.
    """
    device = machine_device()
    backbone = load_backbone("cifar-resnet18", seed=seed, autocast=fast_autocast(device))
    settings = SPQSettings(bits=bits, search="Euclidean")
    method = SPQ(backbone, settings, seed).to(device)
    per_epoch = max(1, len(split.train) // batch_size)
    training = TrainingSettings(
        steps=epochs * per_epoch, batch_size=batch_size, learning_rate=3e-4, weight_decay=1e-5,
        evaluate_every=min(20, epochs) * per_epoch, save_every=per_epoch, seed=seed,
    )  # fmt: skip
    about = {"network": "cifar-resnet18", **asdict(settings)}
    return train_and_judge(method, images, split, training, weights, about, initial="random", k=k)
