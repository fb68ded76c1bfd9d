"""Training a method on one batch, to see what its terms do."""

import torch
from torch import Tensor

from retrieval_lib.methods.base import Batch, Method


def learn(method: Method, batch: Batch, steps: int, rate: float = 1e-2) -> None:
    """So many steps of Adam on the sum of the method's terms."""
    optimizer = torch.optim.Adam(method.train().parameters(), rate)
    for step in range(steps):
        loss = sum(method.loss_terms(batch, step / steps).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def distances_by_label(method: Method, batch: Batch) -> tuple[Tensor, Tensor]:
    """Hamming distances of the first view's codes: of pairs that share a label, and of the others."""
    codes = method.encode(method.descriptors(batch.views[0]).detach())
    distances = (codes[:, None] != codes[None]).sum(2)
    same = batch.targets @ batch.targets.T > 0
    return distances[same], distances[~same]
