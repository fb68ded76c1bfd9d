"""Deep hash distillation: Jang, Gu, Ko, Kang, Cho, ECCV 2022, arXiv 2112.08816."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval_lib.augmentation import DHD_STRONG, ViewSettings
from retrieval_lib.backbones import Backbone
from retrieval_lib.methods.base import Batch
from retrieval_lib.methods.binary import BinaryMethod, HashHead, class_proxies
from retrieval_lib.methods.dhd_losses import bce_quantization_loss, hash_proxy_loss, self_distillation_loss
from retrieval_lib.methods.hash_losses import class_centres, csq_loss, dpn_loss, hashnet_loss, target_codes
from retrieval_lib.methods.targets import check_classes

LOSSES = ("hash proxy", "CSQ", "HashNet", "DPN")
SHARPEST = 10.0  # of HashNet's tanh at the end of the training


@dataclass(frozen=True)
class DHDSettings:
    """What the paper lets one choose.

    Attributes:
        bits: length of a code.
        strong: the student's view.
        teacher_strength: s_T; the teacher's view has every probability of the student's, times this.
        teacher: another view of the teacher's in place of that one; ours, not the paper's.
        temperature: T of the hash proxy loss.
        distillation: weight of the self-distillation; 0 leaves it out.
        quantization: weight of the quantization term; 0 leaves it out.
        loss: the supervised one: `hash proxy`, or `CSQ`, `HashNet`, `DPN`, to which self-distillation is added.
        supervise: the views that it reads: `teacher` as in the paper, `both`, or `student`.
    """

    bits: int = 64
    strong: ViewSettings = DHD_STRONG
    teacher_strength: float = 0.5
    teacher: ViewSettings | None = None
    temperature: float = 0.2
    distillation: float = 0.1
    quantization: float = 0.1
    loss: str = "hash proxy"
    supervise: str = "teacher"

    def __post_init__(self):
        if self.bits < 1:
            raise ValueError(f"bits={self.bits}: give at least 1.")
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature}: give a positive number.")
        if not 0.0 <= self.teacher_strength <= 1.0:
            raise ValueError(f"teacher_strength={self.teacher_strength}: give a number from 0 to 1.")
        for name in ("distillation", "quantization"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more.")
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r}: choose one of {', '.join(LOSSES)}.")
        if self.supervise not in ("teacher", "both", "student"):
            raise ValueError(f"supervise={self.supervise!r}: choose teacher, both or student.")


class DHD(BinaryMethod):
    """A hash head and a supervised loss; a weakly augmented view teaches a strongly augmented one.

    Args:
        backbone: any backbone; trained with the rest.
        classes: how many labels there are.
        settings: see `DHDSettings`.
        seed: of the initial weights of head and proxies.

    Raises:
        ValueError: there is no class.
    """

    def __init__(self, backbone: Backbone, classes: int, settings: DHDSettings | None = None, seed: int = 0):
        super().__init__()
        check_classes(classes)
        self.settings = settings or DHDSettings()
        self.bits = self.settings.bits
        generator = torch.Generator().manual_seed(seed)
        self.backbone = backbone
        self.head = HashHead(backbone.dimension, self.bits, generator, bounded=self.settings.loss != "DPN")
        if self.settings.loss == "hash proxy":
            self.proxies = class_proxies(classes, self.bits, generator)
        else:
            self.register_buffer("centres", class_centres(classes, self.bits, seed))  # HashNet does without
        weak = self.settings.teacher or self.settings.strong.weakened(self.settings.teacher_strength)
        self.views = (weak, self.settings.strong)

    def loss_terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Supervised, self-distillation and quantization terms; the views are the teacher's and the student's."""
        s = self.settings
        sharpness = 1 + (SHARPEST - 1) * progress if s.loss == "HashNet" else 1.0
        teacher, student = (self.head(self.backbone(view), sharpness) for view in batch.views)  # (B, bits) each
        read = {"teacher": (teacher,), "student": (student,), "both": (teacher, student)}[s.supervise]
        terms = {s.loss: sum(self.supervised_loss(codes, batch.targets) for codes in read) / len(read)}
        if s.distillation:
            terms["self-distillation"] = s.distillation * self_distillation_loss(student, teacher)
        if s.quantization:
            terms["quantization"] = s.quantization * bce_quantization_loss(teacher)
        return terms

    def supervised_loss(self, codes: Tensor, targets: Tensor) -> Tensor:
        """The loss that reads the labels: relaxed codes (B, bits), targets (B, classes)."""
        if self.settings.loss == "hash proxy":
            return hash_proxy_loss(codes, self.proxies, targets, self.settings.temperature)
        if self.settings.loss == "HashNet":
            return hashnet_loss(codes, targets)
        loss = csq_loss if self.settings.loss == "CSQ" else dpn_loss
        return loss(codes, target_codes(self.centres, targets))
