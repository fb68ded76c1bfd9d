"""Random views of a batch of images, their parameters drawn for each image on its own."""

from dataclasses import dataclass, replace

import kornia.augmentation as K
import torch
from torch import Tensor, nn

CHANGES = ("crop", "flip", "jitter", "grey", "blur", "occlusion")
BORDERS = {"black": "constant", "mirrored": "reflect"}  # as kornia calls them
HIDDEN = 0.5  # mid-grey: what an occluded part shows


@dataclass(frozen=True)
class ViewSettings:
    """Which changes a view makes, and how probable each is for one image.

    Attributes:
        crop: probability of a random resized crop, of an area between `crop_area` of the image.
        shift: by at most how many pixels every image is moved, up or down and left or right.
        border: what comes in where an image was moved: `black`, or the image `mirrored` at its edge.
        flip: probability of a horizontal flip.
        jitter: probability of a colour jitter of `jitter_strength` (brightness, contrast, saturation, hue). As in kornia
            when the papers' code was written (its issue 565; today's `ColorJiggle`): brightness is added, and contrast
            scales toward black, so that a strong jitter darkens more than torchvision's of the same strength.
        grey: probability of losing the colour.
        blur: probability of a Gaussian blur, its deviation drawn between `blur_deviation` pixels.
        occlusion: probability that a grey rectangle hides a part of the image, of an area between `occlusion_area` of
            it, up to about three times as high as wide or as wide as high.
    """

    crop: float = 0.0
    crop_area: tuple[float, float] = (0.08, 1.0)
    shift: int = 0
    border: str = "black"
    flip: float = 0.0
    jitter: float = 0.0
    jitter_strength: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    grey: float = 0.0
    blur: float = 0.0
    blur_deviation: tuple[float, float] = (0.1, 2.0)
    occlusion: float = 0.0
    occlusion_area: tuple[float, float] = (0.02, 0.2)

    def __post_init__(self):
        for name in CHANGES:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}={value} is not a probability; give a number from 0 to 1.")
        if self.shift < 0:
            raise ValueError(f"shift={self.shift}: give a number of pixels, 0 for none.")
        if self.border not in BORDERS:
            raise ValueError(f"border={self.border!r}: choose {' or '.join(BORDERS)}.")
        smallest, largest = self.crop_area
        if not 0.0 < smallest <= largest <= 1.0:
            raise ValueError(
                f"crop_area={self.crop_area}: give two shares of an image, above 0 and at most 1, the smaller one first."
            )
        smallest, largest = self.blur_deviation
        if not 0.0 < smallest <= largest:
            raise ValueError(
                f"blur_deviation={self.blur_deviation}: give two positive numbers of pixels, the smaller one first."
            )
        smallest, largest = self.occlusion_area
        if not 0.0 < smallest <= largest < 1.0:
            raise ValueError(
                f"occlusion_area={self.occlusion_area}: give two shares of an image, the smaller one first."
            )

    def weakened(self, factor: float) -> "ViewSettings":
        """The same view with every probability multiplied by `factor` (s_T of DHD, ECCV 2022).

        >>> DHD_STRONG.weakened(0.5).crop
        0.5
        """
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"factor={factor}: a view is weakened by a number from 0 to 1.")
        return replace(self, **{name: getattr(self, name) * factor for name in CHANGES})

    def without(self, *names: str) -> "ViewSettings":
        """The same view without the named changes, for images that they would spoil, or for an ablation."""
        for name in names:
            if name not in CHANGES:
                raise ValueError(f"There is no change {name!r}; choose from {', '.join(CHANGES)}.")
        return replace(self, **dict.fromkeys(names, 0.0))


DHD_STRONG = ViewSettings(crop=1.0, flip=0.5, jitter=0.8, jitter_strength=(0.4, 0.8, 0.8, 0.2), grey=0.2, blur=0.5)
SHIFTED = ViewSettings(shift=4, flip=0.5)
MIRRORED = ViewSettings(shift=4, border="mirrored", flip=0.5)  # no edges that the images themselves do not have
SIMCLR = ViewSettings(crop=1.0, flip=0.5, jitter=0.8, jitter_strength=(0.4, 0.4, 0.4, 0.1), grey=0.2, blur=0.5)
# Chosen for this book, not from a paper: a face stays whole enough to be known, and no colour of skin is invented.
FACES = ViewSettings(
    crop=1.0, crop_area=(0.5, 1.0), flip=0.5, jitter=0.8, jitter_strength=(0.2, 0.3, 0.2, 0.02), blur=0.3,
    blur_deviation=(0.1, 1.5), occlusion=0.3,
)  # fmt: skip


def settings_for(settings: ViewSettings, dataset: str, channels: int) -> ViewSettings:
    """What a data set allows: a mirrored or half hidden digit is another digit, a grey image has no colour to lose.

    MNIST keeps crops, of half the area at least, and blur only.

    Args:
        settings: the view as the paper has it.
        dataset: the name of the data set, as `load` knows it.
        channels: 1 or 3.
    """
    if dataset == "mnist":
        smallest, largest = settings.crop_area
        area = (max(0.5, smallest), largest if largest > 0.5 else 1.0)
        settings = replace(settings.without("flip", "jitter", "grey", "occlusion"), crop_area=area)
    elif channels == 1:
        brightness, contrast, _, _ = settings.jitter_strength
        settings = replace(settings.without("grey"), jitter_strength=(brightness, contrast, 0.0, 0.0))
    return settings


class RandomView(nn.Module):
    """A random view of each image of a batch.

    kornia draws its parameters per image, with two exceptions. Its crop decides once a batch whether it is applied, so
    that this decision is taken here. And its jitter draws the order of its four changes once a batch.

    Args:
        settings: which changes, and how probable.
        size: height and width of the images in pixels; a view has the size of its image.
    """

    def __init__(self, settings: ViewSettings, size: tuple[int, int]):
        super().__init__()
        self.settings = settings
        self.crop = K.RandomResizedCrop(size, scale=settings.crop_area) if settings.crop else None
        blur_size = max(3, int(0.1 * min(size)) // 2 * 2 + 1)  # odd, about a tenth of the image, as SimCLR has it
        changes = []
        if settings.shift:
            changes.append(K.RandomCrop(size, padding=settings.shift, padding_mode=BORDERS[settings.border]))
        if settings.flip:
            changes.append(K.RandomHorizontalFlip(p=settings.flip))
        if settings.jitter:
            changes.append(K.ColorJiggle(*settings.jitter_strength, p=settings.jitter))
        if settings.grey:
            changes.append(K.RandomGrayscale(p=settings.grey))
        if settings.blur:
            changes.append(K.RandomGaussianBlur((blur_size, blur_size), settings.blur_deviation, p=settings.blur))
        if settings.occlusion:
            changes.append(K.RandomErasing(scale=settings.occlusion_area, value=HIDDEN, p=settings.occlusion))
        self.changes = nn.Sequential(*changes)

    @torch.no_grad()
    def forward(self, images: Tensor, seed: int) -> Tensor:
        """A view of each image.

        Args:
            images: (B, C, H, W) uint8, or float between 0 and 1.
            seed: the same seed, images and settings give the same view; the global random state is left alone.

        Returns:
            (B, C, H, W) float32 between 0 and 1.

        Raises:
            ValueError: the images are no batch of images.
        """
        if images.ndim != 4:
            raise ValueError(f"images has shape {tuple(images.shape)}; expected (B, C, H, W).")
        views = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            torch.manual_seed(seed)
            if self.crop is not None:
                cropped = torch.rand(len(views), device=views.device) < self.settings.crop  # (B,)
                views = torch.where(cropped.view(-1, 1, 1, 1), self.crop(views), views)
            return self.changes(views).clamp(0, 1)
