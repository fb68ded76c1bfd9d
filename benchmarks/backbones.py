"""How fast the backbones are here, and what the pretrained one's image size buys.

    python benchmarks/backbones.py speed      training and descriptors, images a second, beside the peers
    python benchmarks/backbones.py size       EfficientNet-lite0: nearest neighbours' accuracy against speed

Run it on an idle machine: with two threads beside another busy process everything is several times slower.
"""

import sys
import time
from collections.abc import Callable

import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval_lib.backbones import EfficientNetLite0, fast_autocast, load_backbone
from retrieval_lib.data import choose

REPEATS = 5


def images_per_second(step: Callable[[], object], images: int) -> float:
    """The best of a few runs of one step, after one that warms up."""
    step()
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - started)
    return images / best


def training_step(backbone: nn.Module, images: Tensor) -> Callable[[], None]:
    """Forward and backward through the backbone and a linear classifier."""
    with torch.no_grad():
        head = nn.Linear(backbone(images).shape[1], 10)
    labels = torch.arange(len(images)) % 10

    def step() -> None:
        F.cross_entropy(head(backbone(images)), labels).backward()

    return step


def descriptor_step(network: Callable[[Tensor], Tensor], images: Tensor) -> Callable[[], Tensor]:
    """Descriptors without gradients."""

    @torch.inference_mode()
    def step() -> Tensor:
        return network(images)

    return step


def torchvision_resnet18() -> nn.Module:
    """torchvision's ResNet-18 with the small stem."""
    network = torchvision.models.resnet18()
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = network.fc = nn.Identity()
    return network


def speed() -> None:
    """Print the speeds of training (batch 128, 32×32) and of pretrained descriptors (batch 32)."""
    half = fast_autocast()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, fast precision {half}")
    images = torch.rand(128, 3, 32, 32)
    networks = {"torchvision resnet18, float32": torchvision_resnet18()}
    for name in ("small-resnet", "cifar-resnet18"):
        networks[f"{name}, float32"] = load_backbone(name)
        if half is not None:
            networks[f"{name}, {half}"] = load_backbone(name, autocast=half)
    for name, network in networks.items():
        print(f"train  {name:40} {images_per_second(training_step(network.train(), images), 128):7,.0f} images/s")
    for size in (64, 96, 128, 224):
        resized = torch.rand(32, 3, size, size)
        peer = EfficientNet.from_name("efficientnet-lite0").eval().extract_features
        networks = {"the wheel's own": peer, "ours, float32": EfficientNetLite0(size=size)}
        if half is not None:
            networks[f"ours, {half}"] = EfficientNetLite0(size=size, autocast=half)
        for name, network in networks.items():
            rate = images_per_second(descriptor_step(network, resized), 32)
            print(f"lite0  {size:3} px, {name:32} {rate:7,.0f} images/s")


def size_trade(queries: int = 2000, database: int = 4000) -> None:
    """Print accuracy of ten neighbours' vote and mAP over the whole ranking for several sizes and precisions."""
    images = choose("general").images
    chosen = torch.arange(queries + database)  # the set's order is a seeded permutation
    labels = images.labels[chosen]
    pixels = images.images[chosen].float() / 255
    print(f"{images.name} ({images.source}), {queries} queries, {database} database images, cosine, centred")
    report("pixels", pixels.flatten(1), labels, queries)
    for size in (64, 96, 128):
        for autocast in dict.fromkeys((None, fast_autocast())):
            backbone = EfficientNetLite0(images.images.shape[1], size, autocast)
            started = time.perf_counter()
            with torch.inference_mode():
                descriptors = torch.cat([backbone(batch) for batch in pixels.split(32)])
            rate = len(pixels) / (time.perf_counter() - started)
            report(f"{size} px, {autocast or torch.float32}, {rate:,.0f}/s", descriptors, labels, queries)
            if autocast is None:
                report(f"{size} px, stored as float16", descriptors.half().float(), labels, queries)


def report(name: str, descriptors: Tensor, labels: Tensor, queries: int) -> None:
    """Print one line: the first `queries` rows search the others."""
    unit = F.normalize(descriptors - descriptors[queries:].mean(0), dim=1)
    order = (unit[:queries] @ unit[queries:].T).argsort(1, descending=True)
    found = labels[queries:][order]  # (Q, N) labels in the order of the ranking
    vote = (found[:, :10].mode(1).values == labels[:queries]).double().mean().item()
    relevant = (found == labels[:queries, None]).double()
    precision = relevant.cumsum(1) / torch.arange(1, relevant.shape[1] + 1)
    average_precision = (precision * relevant).sum(1) / relevant.sum(1).clamp(min=1)
    print(f"{name:40} accuracy of 10 neighbours {vote:.3f}, mAP {average_precision.mean():.4f}")


if __name__ == "__main__":
    commands = {"speed": speed, "size": size_trade}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
