"""Self-supervised product quantization: Jang and Cho, ICCV 2021, arXiv 2109.02244."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from retrieval_lib.augmentation import SIMCLR, ViewSettings
from retrieval_lib.backbones import Backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.product_codes import ProductCodeMethod, books_of, xavier_parts
from retrieval_lib.methods.spq_losses import contrastive_loss, cross_quantized_contrastive_loss, uneven_use_loss
from retrieval_lib.quantization import ProductQuantizer, mixture, soft_assignment, straight_through

SEARCHES = ("squared Euclidean", "Euclidean")
ASSIGNMENTS = ("soft", "hard", "none")
OWN_VIEWS = ("never", "too", "only")


@dataclass(frozen=True)
class SPQSettings:
    """What the paper lets one choose; and variants that it does not have, off by default.

    Attributes:
        bits: length of a code.
        codewords: K, a power of two.
        dimension: d, numbers of a codeword.
        sharpness: τ_q of the soft quantiser, multiplied. (The paper prints a division; its authors corrected the value.)
        temperature: τ of the contrastive loss.
        hidden: units between the backbone and the descriptor.
        view: both views are drawn from it.
        search: the ADC of a search: `squared Euclidean`, or `Euclidean` as in the published code.
        assignment: `soft`, as published; `hard`, the nearest codeword, with the gradient of the soft choice; or `none`,
            plain contrast of descriptors: the codebooks do not learn and are to be fitted afterwards.
        own_view: whether a descriptor is contrasted with what its own view was quantized to: `never`, as published;
            `too`, beside the other view's; or `only`.
        balance: weight of a term that asks for an even use of the codewords; 0: none, as published.
    """

    bits: int = 32
    codewords: int = 16
    dimension: int = 16
    sharpness: float = 5.0
    temperature: float = 0.5
    hidden: int = 512
    view: ViewSettings = SIMCLR
    search: str = "squared Euclidean"
    assignment: str = "soft"
    own_view: str = "never"
    balance: float = 0.0

    def __post_init__(self):
        books_of(self.bits, self.codewords)
        for name in ("dimension", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1.")
        for name in ("sharpness", "temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: give a positive number.")
        if self.search not in SEARCHES:
            raise ValueError(f"search={self.search!r}: choose one of {', '.join(SEARCHES)}.")
        if self.assignment not in ASSIGNMENTS:
            raise ValueError(f"assignment={self.assignment!r}: choose one of {', '.join(ASSIGNMENTS)}.")
        if self.own_view not in OWN_VIEWS:
            raise ValueError(f"own_view={self.own_view!r}: choose one of {', '.join(OWN_VIEWS)}.")
        if self.balance < 0:
            raise ValueError(f"balance={self.balance}: give 0 or a positive number.")
        if self.assignment == "none" and (self.own_view != "never" or self.balance):
            raise ValueError("assignment='none' quantizes nothing; leave own_view and balance out.")


class DescriptorHead(nn.Module):
    """Linear, ReLU, linear: from the backbone (B, D) to descriptors (B, M · d).

    Args:
        inputs: D.
        hidden: units in the middle.
        outputs: M · d.
        generator: of the initial weights.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, generator: torch.Generator):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        for layer in (self.first, self.last):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) to (B, M · d)."""
        return self.last(torch.relu(self.first(features)))


class SPQ(ProductCodeMethod):
    """A descriptor head and codebooks, learned from pairs of views and no label.

    Args:
        backbone: any backbone; trained with the rest. (The published one takes pixels as they are: no statistics.)
        settings: see `SPQSettings`.
        seed: of the initial weights of head and codebooks.
    """

    uses_labels = False

    def __init__(self, backbone: Backbone, settings: SPQSettings | None = None, seed: int = 0):
        super().__init__()
        s = self.settings = settings or SPQSettings()
        self.bits, self.metric, self.views = s.bits, s.search, (s.view, s.view)
        books = books_of(s.bits, s.codewords)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            self.backbone = backbone
            self.head = DescriptorHead(backbone.dimension, s.hidden, books * s.dimension, generator)
        self.codebooks = xavier_parts(s.codewords, books, s.dimension, generator)  # (M, K, d)

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The contrast, and the balance where it has a weight.

        Each view is a forward pass of its own, with its own batch statistics.
        """
        s = self.settings
        first, second = (self.descriptors(view) for view in batch.views)  # (B, M * d) each
        if s.assignment == "none":
            return {"contrast": 2 * contrastive_loss(first, second, s.temperature)}  # two terms, as in the other form
        weights = [self.soft_weights(x) for x in (first, second)]  # (B, M, K) each
        z_first, z_second = (self._quantized(w) for w in weights)  # (B, M * d) each
        contrasts = []
        if s.own_view != "only":
            contrasts.append(cross_quantized_contrastive_loss(first, z_first, second, z_second, s.temperature))
        if s.own_view != "never":
            own = contrastive_loss(first, z_first, s.temperature) + contrastive_loss(second, z_second, s.temperature)
            contrasts.append(own)
        terms = {"contrast": sum(contrasts) / len(contrasts)}
        if s.balance:  # of the hard choices: soft weights of one image alone are nearly even, whatever is chosen
            terms["balance"] = s.balance * uneven_use_loss(straight_through(torch.cat(weights)))
        return terms

    def soft_weights(self, descriptors: Tensor) -> Tensor:
        """How near each part is to each codeword, as weights: (B, M · d) to (B, M, K)."""
        parts = descriptors.unflatten(1, (len(self.codebooks), -1))  # (B, M, d)
        return soft_assignment(parts, self.codebooks, self.settings.sharpness)

    def soft_quantized(self, descriptors: Tensor) -> Tensor:
        """z: each part becomes the mean of its codewords, weighted by nearness; (B, M · d) to (B, M · d)."""
        return mixture(self.soft_weights(descriptors), self.codebooks).flatten(1)

    def _quantized(self, weights: Tensor) -> Tensor:
        """What the loss compares descriptors with, by the settings' assignment: (B, M, K) to (B, M · d)."""
        chosen = straight_through(weights) if self.settings.assignment == "hard" else weights
        return mixture(chosen, self.codebooks).flatten(1)

    def descriptors(self, images: Tensor) -> Tensor:
        """x: (B, C, H, W) to (B, M · d)."""
        return self.head(self.backbone(images))

    def quantizer(self) -> ProductQuantizer:
        """The codebooks as they are now, on the CPU."""
        return ProductQuantizer(self.codebooks.detach().float().cpu().clone())
