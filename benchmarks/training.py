"""Training steps of DHD: ours, and a plain float32 loop with the same network and the same augmentation.

    python benchmarks/training.py [--steps 30] [--batch 128] [--network small-resnet]

Both train on the same random images in one run, turn by turn; the shortest time of several turns counts. "Plain" is
what one writes first: float32, the default memory layout, the same losses. Run it on an idle machine.
"""

import argparse
import time

import torch
from torch import nn

from retrieval_lib.augmentation import RandomView
from retrieval_lib.backbones import STATISTICS, fast_autocast, load_backbone
from retrieval_lib.data import Search, Split, image_set
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.dhd import DHD
from retrieval_lib.training import TrainingSettings
from retrieval_lib.training.batches import view_makers
from retrieval_lib.training.loop import make_optimizer, update

TURNS = 4


def made_up(count: int) -> tuple:
    """Random images of ten classes, and a split that trains on all of them."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    images = image_set("cifar10", "random pixels", pixels, torch.arange(count) % 10, range(10))
    every, none = torch.arange(count), torch.empty(0, dtype=torch.int64)
    return images, Split("all", 0, "", every, none, {"test": Search(every[:1], every[1:])})


def ours(network: str, settings: TrainingSettings):
    """A function that takes steps as `retrieval_lib.training.train` does."""
    images, split = made_up(settings.batch_size * 8)
    method = DHD(
        load_backbone(network, channels=3, statistics=STATISTICS["cifar10"], autocast=fast_autocast()), 10
    ).train()
    optimizer, makers = make_optimizer(method, settings), view_makers(method, images)
    scaler = torch.amp.GradScaler(enabled=False)

    def steps(count: int) -> None:
        for step in range(count):
            update(method, optimizer, scaler, settings, images, split.train, step, makers)

    return steps


def plain(network: str, settings: TrainingSettings):
    """A function that takes steps in float32, with the same views and the same losses."""
    images, split = made_up(settings.batch_size * 8)
    method = DHD(load_backbone(network, channels=3, statistics=STATISTICS["cifar10"]), 10)
    method.to(memory_format=torch.contiguous_format)
    method.backbone.feature_map = lambda x: method.backbone.layers(method.backbone.normalise(x))
    optimizer = torch.optim.AdamW(method.parameters(), settings.learning_rate)
    makers: list[RandomView] = view_makers(method, images)
    labels = nn.functional.one_hot(images.labels, 10).float()

    def steps(count: int) -> None:
        for step in range(count):
            chosen = split.train[torch.randperm(len(split.train))[: settings.batch_size]]
            views = [maker(images.images[chosen], step) for maker in makers]
            loss = sum(method.loss_terms(Batch(views, labels[chosen]), 0.0).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return steps


def main() -> None:
    """Time both, turn by turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--network", default="small-resnet")
    options = parser.parse_args()
    settings = TrainingSettings(steps=10_000, batch_size=options.batch)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, half precision: {fast_autocast()}")
    loops = {"ours": ours(options.network, settings), "plain float32": plain(options.network, settings)}
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(TURNS):
        for name, steps in loops.items():
            started = time.perf_counter()
            steps(options.steps)
            best[name] = min(best[name], time.perf_counter() - started)
    for name, seconds in best.items():
        speed = options.steps * options.batch / seconds
        print(f"  {name:14} {speed:7.0f} images/s (two views each)  {seconds / best['ours']:5.2f} x the time of ours")


if __name__ == "__main__":
    main()
