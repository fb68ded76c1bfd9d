"""DHD in its paper's setting: a pretrained network, large images, lists of paths. Made for a GPU."""

from dataclasses import asdict
from pathlib import Path

from retrieval_lib.backbones import fast_autocast, load_backbone
from retrieval_lib.data import ImageSet, Split
from retrieval_lib.experiments.budgets import machine_device
from retrieval_lib.experiments.paper import train_and_judge
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.dhd import DHD, DHDSettings
from retrieval_lib.training import TrainingSettings

NETWORKS = ("alexnet", "resnet50")
TEACHER_STRENGTH = {"alexnet": 0.2, "resnet50": 0.5}
SIZE = 224  # pixels


def train_paper_dhd(
    images: ImageSet,
    split: Split,
    weights: Path,
    *,
    network: str = "alexnet",
    bits: int = 64,
    epochs: int = 100,
    batch_size: int = 128,
    k: int = 1000,
    seed: int = 0,
    pretrained: bool = True,
) -> list[Value]:
    """Train with the published settings, keep the weights, and judge the test queries.

    As published: Adam with rate 3e-4 (the network's share is 0.05), weight decay 1e-5, batches of 128; the teacher's
    strength is 0.2 for AlexNet and 0.5 for others. Ours: a tenth of the training images is held out for validation;
    weight decay is decoupled (AdamW) and spares biases, norms and proxies; 100 epochs, and the rate falls as half a
    cosine does over all of them (the published script has 500, and its cosine is counted in batches and advanced once
    an epoch, after the tenth); views are made of images of 224 pixels (there of 256, of which the middle is kept).
    Interrupted, the same call goes on.

    Args:
        images, split: as `retrieval_lib.data.load_lists` gives them.
        weights: the file to write; the state of an unfinished run is kept beside it.
        network: `alexnet` or `resnet50`.
        bits: length of a code.
        epochs, batch_size: of the training.
        k: length of the judged ranking; the paper takes 1,000 on ImageNet-100 and 5,000 on NUS-WIDE and COCO.
        seed: of everything that is drawn.
        pretrained: False starts from random weights.

    Raises:
        ValueError: there is no such network; else as `train`.
        OSError: the pretrained weights cannot be fetched, or a file cannot be written.
    """
    if network not in NETWORKS:
        raise ValueError(f"There is no network {network!r} for this; choose {' or '.join(NETWORKS)}.")
    device = machine_device()
    backbone = load_backbone(network, pretrained=pretrained, seed=seed, autocast=fast_autocast(device))
    settings = DHDSettings(bits=bits, teacher_strength=TEACHER_STRENGTH[network])
    method = DHD(backbone, len(images.class_names), settings, seed).to(device)
    per_epoch = max(1, len(split.train) // batch_size)
    training = TrainingSettings(
        steps=epochs * per_epoch, batch_size=batch_size, learning_rate=3e-4, backbone_rate=0.05, weight_decay=1e-5,
        evaluate_every=10 * per_epoch, save_every=per_epoch, seed=seed,
    )  # fmt: skip
    initial = "ImageNet weights of torchvision" if pretrained else "random"
    about = {"network": network, **asdict(settings)}
    return train_and_judge(method, images, split, training, weights, about, initial=initial, k=k)
