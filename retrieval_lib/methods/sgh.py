"""Similarity guided hashing of faces: Jang and Cho, arXiv 2107.05025, 2021. A reconstruction from its abstract.

No equation, no weight and no code of it is public. What follows is one way to do what the abstract says; each term
names the sentence that it answers, and each can be left out, so that one sees what it buys.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retrieval_lib.augmentation import FACES, ViewSettings
from retrieval_lib.backbones import Backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.binary import BinaryMethod, HashHead, class_proxies
from retrieval_lib.methods.dhd_losses import bce_quantization_loss, hash_proxy_loss
from retrieval_lib.methods.sgh_losses import pairwise_similarity_loss, self_similarity_loss
from retrieval_lib.methods.targets import check_classes


@dataclass(frozen=True)
class SGHSettings:
    """All of it is ours to choose: the paper's own values are not public.

    Attributes:
        bits: length of a code.
        view: how a random view of a face is made.
        view_count: V, how many views of each image a step sees.
        first_strength: what every probability of the first view is multiplied by; at 1 all views are made alike.
        images_per_class: images of each person in a batch, so that there are pairs; 0: drawn freely.
        supervise: the views that the identity term reads: `all`, or the `first` alone.
        temperature: T of the identity term.
        pair_temperature: tau of the pairwise term.
        identity: weight of this term; 0 leaves it out.
        self_similarity: weight of this term; 0 leaves it out.
        pairwise: weight of this term; 0 leaves it out.
        quantization: weight of this term; 0 leaves it out.
    """

    bits: int = 64
    view: ViewSettings = FACES
    view_count: int = 2
    first_strength: float = 1.0
    images_per_class: int = 4
    supervise: str = "all"
    temperature: float = 0.2
    pair_temperature: float = 0.2
    identity: float = 1.0
    self_similarity: float = 0.1
    pairwise: float = 0.1
    quantization: float = 0.1

    def __post_init__(self):
        for name in ("bits", "view_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1.")
        for name in ("temperature", "pair_temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: give a positive number.")
        for name in ("images_per_class", "identity", "self_similarity", "pairwise", "quantization"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more.")
        if not 0.0 <= self.first_strength <= 1.0:
            raise ValueError(f"first_strength={self.first_strength}: give a number from 0 to 1.")
        if self.supervise not in ("all", "first"):
            raise ValueError(f"supervise={self.supervise!r}: choose all or first.")
        if not (self.identity or self.self_similarity or self.pairwise):
            raise ValueError("identity, self_similarity and pairwise are all 0: nothing would be learned; keep one.")
        if self.view_count < 2 and (self.self_similarity or self.pairwise):
            raise ValueError(
                f"view_count={self.view_count}: self_similarity and pairwise compare views; give at least 2, or set "
                "both to 0."
            )

    def classification_only(self) -> "SGHSettings":
        """The same settings without the two similarities: what the abstract criticises, as a baseline.

        Answers "classification-based scheme has a disadvantage in that it cannot reveal complex similarities between
        face images". Views, batches and quantization stay, so that nothing else differs.
        """
        return replace(self, self_similarity=0.0, pairwise=0.0)


class SGH(BinaryMethod):
    """A hash head, a proxy for each person, and similarities between views and between people.

    Args:
        backbone: any backbone; trained with the rest.
        classes: how many people there are.
        settings: see `SGHSettings`.
        seed: of the initial weights of head and proxies.

    Raises:
        ValueError: there is no class.
    """

    def __init__(self, backbone: Backbone, classes: int, settings: SGHSettings | None = None, seed: int = 0):
        super().__init__()
        check_classes(classes)
        self.settings = settings or SGHSettings()
        self.bits = self.settings.bits
        self.images_per_class = self.settings.images_per_class
        view = self.settings.view
        self.views = (view.weakened(self.settings.first_strength), *(view,) * (self.settings.view_count - 1))
        generator = torch.Generator().manual_seed(seed)
        self.backbone, self.head = backbone, HashHead(backbone.dimension, self.bits, generator)  # as in DHD
        if self.settings.identity:
            self.proxies = class_proxies(classes, self.bits, generator)

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Up to four terms; all views count alike, but where the identity term is told to read the first alone.

        - `identity`: "face image hashing methods with supervised classification training have shown outstanding
          performance". The cosine to a proxy for each person, as in DHD; the mean over the views
          that it reads.
        - `self-similarity`, `pairwise`: "gently considers self and pairwise-similarity simultaneously"; see
          `sgh_losses`. "Gently" is also why their weights are small.
        - `quantization`: "compact hash code"; that values must be near -1 and +1, no sentence says. As in DHD.
        """
        s, codes = self.settings, [self.head(self.backbone(view)) for view in batch.views]  # V of (B, bits)
        terms = {}
        if s.identity:
            read = codes if s.supervise == "all" else codes[:1]
            losses = [hash_proxy_loss(view, self.proxies, batch.targets, s.temperature) for view in read]
            terms["identity"] = s.identity * sum(losses) / len(losses)
        if s.self_similarity:
            terms["self-similarity"] = s.self_similarity * self_similarity_loss(codes)
        if s.pairwise:
            terms["pairwise"] = s.pairwise * pairwise_similarity_loss(codes, batch.targets, s.pair_temperature)
        if s.quantization:
            terms["quantization"] = s.quantization * sum(map(bce_quantization_loss, codes)) / len(codes)
        return terms
