"""Generalized product quantization, semi-supervised: Jang and Cho, CVPR 2020, arXiv 2002.11281."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from retrieval_lib.augmentation import SHIFTED, ViewSettings
from retrieval_lib.backbones import Backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.gpq_losses import classification_loss, n_pair_pq_loss, negative_entropy, reverse_gradient
from retrieval_lib.methods.product_codes import ProductCodeMethod, books_of, xavier_parts
from retrieval_lib.methods.targets import check_classes
from retrieval_lib.quantization import ProductQuantizer, intra_normalize, mixture, soft_assignment


@dataclass(frozen=True)
class GPQSettings:
    """What the paper lets one choose.

    Attributes:
        bits: length of a code.
        codewords: K, a power of two.
        dimension: d, numbers of a codeword.
        sharpness: α of both soft assignments, to prototypes and to codewords.
        scale: β of the cosine classifier.
        view: of labelled and unlabelled images.
        pairs: weight of the N-pair term; 0 leaves it out, and then nothing asks the soft quantizer for anything.
        classification: weight of the cosine classifier; 0 leaves it out.
        entropy: weight of the entropy mini-max; with 0 the method is supervised only and takes no unlabelled images.
        minimax: False is no game: features and prototypes both lower the entropy. Not in the paper, a control.
        ramp: share of the training over which the weight of the entropy grows from 0; 0, as published, keeps it constant.
    """

    bits: int = 48
    codewords: int = 16
    dimension: int = 12
    sharpness: float = 20.0
    scale: float = 4.0
    view: ViewSettings = SHIFTED
    pairs: float = 1.0
    classification: float = 0.1
    entropy: float = 0.1
    minimax: bool = True
    ramp: float = 0.0

    def __post_init__(self):
        books_of(self.bits, self.codewords)
        if self.dimension < 1:
            raise ValueError(f"dimension={self.dimension}: give at least 1.")
        for name in ("sharpness", "scale"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: give a positive number.")
        for name in ("pairs", "classification", "entropy"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: give a weight of at least 0.")
        if not (self.pairs or self.classification):
            raise ValueError("pairs and classification are both 0: no label would be learned from; keep one.")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"ramp={self.ramp}: give a share of the training, from 0 to 1.")


class GPQ(ProductCodeMethod):
    """A linear head, class prototypes, and codebooks that are mixed from the prototypes.

    Args:
        backbone: any backbone; trained with the rest.
        classes: how many labels there are.
        settings: see `GPQSettings`.
        seed: of the initial weights of head, prototypes and codebooks.

    Raises:
        ValueError: there is no class.
    """

    metric = "inner product"

    def __init__(self, backbone: Backbone, classes: int, settings: GPQSettings | None = None, seed: int = 0):
        super().__init__()
        check_classes(classes)
        s = self.settings = settings or GPQSettings()
        self.bits, self.views = s.bits, (s.view,)
        self.unlabelled_views = (s.view,) if s.entropy else ()
        books = books_of(s.bits, s.codewords)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            self.backbone, self.head = backbone, nn.Linear(backbone.dimension, books * s.dimension)
        nn.init.xavier_uniform_(self.head.weight, generator=generator)
        nn.init.zeros_(self.head.bias)
        self.codebooks = xavier_parts(s.codewords, books, s.dimension, generator)  # Z: (M, K, d)
        self.prototypes = xavier_parts(classes, books, s.dimension, generator)  # P: (M, classes, d)

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """N-pair and classification terms of labelled images, and the entropy term of unlabelled ones.

        Raises:
            ValueError: the entropy term has no unlabelled images, or a labelled one has no label.
        """
        if len(batch.unlabelled) != len(self.unlabelled_views):
            raise ValueError(
                f"The batch has {len(batch.unlabelled)} views of unlabelled images; with entropy={self.settings.entropy} "
                f"the method takes {len(self.unlabelled_views)}."
            )
        s, prototypes = self.settings, intra_normalize(self.prototypes)  # (M, classes, d)
        parts = intra_normalize(self.features(batch.views[0]))  # (B, M, d)
        terms = {}
        if s.pairs:
            terms["N-pair"] = s.pairs * n_pair_pq_loss(parts, self.soft_quantized(parts), batch.targets)
        if s.classification:
            terms["classification"] = s.classification * classification_loss(parts, prototypes, batch.targets, s.scale)
        if s.entropy:
            grown = min(1.0, progress / s.ramp) if s.ramp else 1.0
            features = self.features(batch.unlabelled[0])  # (B, M, d)
            if s.minimax:
                negative = negative_entropy(intra_normalize(reverse_gradient(features)), prototypes, s.scale)
                terms["negative entropy"] = s.entropy * grown * negative
            else:
                terms["entropy"] = -s.entropy * grown * negative_entropy(intra_normalize(features), prototypes, s.scale)
        return terms

    def features(self, images: Tensor) -> Tensor:
        """F: (B, C, H, W) to (B, M, d), not normalised."""
        return self.head(self.backbone(images)).unflatten(1, (len(self.codebooks), -1))

    def mixed_codebooks(self) -> Tensor:
        """Z̃ (M, K, d): each codeword the normalised mixture of the prototypes that its row of Z is assigned to.

        Z itself is not normalised: its norm is an inverse temperature.
        """
        rows, prototypes = self.codebooks.transpose(0, 1), intra_normalize(self.prototypes)  # (K, M, d)
        return soft_quantized(rows, prototypes, self.settings.sharpness).transpose(0, 1)

    def soft_quantized(self, parts: Tensor) -> Tensor:
        """q: intra-normalised parts (B, M, d) to the normalised mixtures of their codewords (B, M, d)."""
        return soft_quantized(parts, self.mixed_codebooks(), self.settings.sharpness)

    def descriptors(self, images: Tensor) -> Tensor:
        """x̂: (B, C, H, W) to (B, M · d), each of the M parts of norm 1."""
        return intra_normalize(self.features(images)).flatten(1)

    @torch.no_grad()
    def quantizer(self) -> ProductQuantizer:
        """The mixed codebooks Z̃ as they are now, on the CPU."""
        return ProductQuantizer(self.mixed_codebooks().float().cpu().clone())


def soft_quantized(parts: Tensor, codebooks: Tensor, sharpness: float) -> Tensor:
    """GPQ's soft assignment: N(Σ_k a_k e_k) with a = softmax of -α (1 - ⟨u, e_k⟩).

    Args:
        parts: (N, M, d), u.
        codebooks: (M, K, d) of norm 1, e.
        sharpness: α.

    Returns:
        (N, M, d) of norm 1.
    """
    return intra_normalize(mixture(soft_assignment(parts, codebooks, sharpness, "inner product"), codebooks))
