"""Block hashing as in DCBH: Jang, Jeong, Lee, Cho, ACCV 2018, doi 10.1007/978-3-030-20876-9_21. A baseline for SGH.

Sourced are: a descriptor in blocks of units (48 of 6 for 48 bits), one bit a block; a centre loss on the descriptor, of
weight 1e-4; and from the abstract, that the classification errors of the descriptor *and* of the codes are minimised.
Ours are the rest: a linear descriptor, tanh, linear classifiers of equal weight, views of faces instead of the image.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval_lib.augmentation import FACES, ViewSettings
from retrieval_lib.backbones import Backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.binary import BinaryMethod
from retrieval_lib.methods.targets import check_classes, labelled


@dataclass(frozen=True)
class BlockHashingSettings:
    """What one may choose.

    Attributes:
        bits: length of a code, and number of blocks.
        units: values of the descriptor in each block.
        view: how a random view of a face is made.
        view_count: how many views of each image a step sees; they count alike.
        first_strength: what every probability of the first view is multiplied by; at 1 all views are made alike.
        images_per_class: images of each person in a batch; 0: drawn freely.
        descriptor_classification: weight of this term; 0 leaves it out.
        code_classification: weight of this term.
        centre: weight of this term; 0 leaves it out.
    """

    bits: int = 48
    units: int = 6
    view: ViewSettings = FACES
    view_count: int = 1
    first_strength: float = 1.0
    images_per_class: int = 0
    descriptor_classification: float = 1.0
    code_classification: float = 1.0
    centre: float = 1e-4

    def __post_init__(self):
        for name in ("bits", "units", "view_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1.")
        for name in ("images_per_class", "descriptor_classification", "centre"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more.")
        if not 0.0 <= self.first_strength <= 1.0:
            raise ValueError(f"first_strength={self.first_strength}: give a number from 0 to 1.")
        if self.code_classification <= 0:
            raise ValueError(
                f"code_classification={self.code_classification}: no other term moves the codes; give a positive number."
            )


class BlockHead(nn.Module):
    """A descriptor in blocks, and one bit of each block: (B, D) to (B, bits · units) and on to (B, bits).

    A bit reads the units of its own block only: bits · units weights, where a full layer would have bits times as many.

    Args:
        dimension: D.
        bits: number of blocks.
        units: of a block.
        generator: of the initial weights.
    """

    def __init__(self, dimension: int, bits: int, units: int, generator: torch.Generator):
        super().__init__()
        self.bits, self.units = bits, units
        self.linear = _seeded_linear(dimension, bits * units, generator)
        self.block_weights = nn.Parameter(torch.empty(bits, units))
        nn.init.uniform_(self.block_weights, -(units**-0.5), units**-0.5, generator=generator)
        self.block_biases = nn.Parameter(torch.zeros(bits))

    def blocks(self, descriptors: Tensor) -> Tensor:
        """(B, D) to the descriptor that is cut into blocks, (B, bits · units)."""
        return self.linear(descriptors)

    def hash_blocks(self, blocks: Tensor) -> Tensor:
        """(B, bits · units) to relaxed codes (B, bits), between -1 and 1."""
        parts = blocks.view(len(blocks), self.bits, self.units)  # (B, bits, units)
        return torch.tanh((parts * self.block_weights).sum(2) + self.block_biases)

    def forward(self, descriptors: Tensor) -> Tensor:
        """(B, D) to relaxed codes (B, bits)."""
        return self.hash_blocks(self.blocks(descriptors))


def centre_loss(descriptors: Tensor, centres: Tensor, targets: Tensor) -> Tensor:
    """Half the mean squared distance of each descriptor from the centre of its class (Wen et al., ECCV 2016).

    Both are moved by gradient here; in the paper the centres follow a running mean of their own.

    Args:
        descriptors: (B, D).
        centres: (classes, D), learnable.
        targets: (B, classes), one-hot.

    Raises:
        ValueError: `targets` has another shape, or an image has no label, or several.

    >>> float(centre_loss(torch.tensor([[3.0, 4.0]]), torch.zeros(2, 2), torch.tensor([[0.0, 1.0]])))
    12.5
    """
    targets = labelled(targets, centres.dtype, len(descriptors), len(centres))
    if (targets.sum(1) != 1).any():
        raise ValueError("The centre loss needs exactly one label an image; leave it out (centre=0) for several.")
    return ((descriptors - targets @ centres) ** 2).sum(1).mean() / 2


class BlockHashing(BinaryMethod):
    """Two classifiers, of the descriptor and of the codes that its blocks give, and a centre for each person.

    Args:
        backbone: any backbone; trained with the rest.
        classes: how many people there are.
        settings: see `BlockHashingSettings`.
        seed: of the initial weights of head, classifiers and centres.

    Raises:
        ValueError: there is no class.
    """

    def __init__(self, backbone: Backbone, classes: int, settings: BlockHashingSettings | None = None, seed: int = 0):
        super().__init__()
        check_classes(classes)
        self.settings = s = settings or BlockHashingSettings()
        self.bits, self.images_per_class = s.bits, s.images_per_class
        self.views = (s.view.weakened(s.first_strength), *(s.view,) * (s.view_count - 1))
        generator = torch.Generator().manual_seed(seed)
        self.backbone, self.head = backbone, BlockHead(backbone.dimension, s.bits, s.units, generator)
        self.code_classifier = _seeded_linear(s.bits, classes, generator)
        if s.descriptor_classification:
            self.descriptor_classifier = _seeded_linear(s.bits * s.units, classes, generator)
        if s.centre:
            self.centres = nn.Parameter(torch.zeros(classes, s.bits * s.units))

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """`code classification`, `descriptor classification` and `centre`: each the mean over the views.

        Raises:
            ValueError: the targets have another shape, or an image has no label; or several, and there are centres.
        """
        s, weight = self.settings, self.code_classifier.weight  # (classes, bits)
        targets = labelled(batch.targets, weight.dtype, len(batch.views[0]), len(weight))
        named = targets / targets.sum(1, keepdim=True)  # (B, classes)
        found: dict[str, list[Tensor]] = {}
        for view in batch.views:
            blocks = self.head.blocks(self.backbone(view))  # (B, bits * units)
            logits = self.code_classifier(self.head.hash_blocks(blocks))  # (B, classes)
            terms = {"code classification": s.code_classification * F.cross_entropy(logits, named)}
            if s.descriptor_classification:
                loss = F.cross_entropy(self.descriptor_classifier(blocks), named)
                terms["descriptor classification"] = s.descriptor_classification * loss
            if s.centre:
                terms["centre"] = s.centre * centre_loss(blocks, self.centres, targets)
            for name, term in terms.items():
                found.setdefault(name, []).append(term)
        return {name: sum(views) / len(views) for name, views in found.items()}


def _seeded_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer whose weights are the generator's and whose biases are zero."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
