"""Which images a chapter uses: the better set where it can be had, the embedded one everywhere."""

from dataclasses import dataclass

from retrieval_lib.data.catalogue import load
from retrieval_lib.data.images import ImageSet
from retrieval_lib.profiles import current_profile

PREFERRED = {"general": ("cifar10", "mnist"), "faces": ("lfw", "orl")}
TITLES = {"cifar10": "CIFAR-10", "mnist": "MNIST", "lfw": "LFW", "orl": "ORL"}


@dataclass(frozen=True)
class Choice:
    """The chosen data set, and a sentence that says why."""

    images: ImageSet
    reason: str


def choose(kind: str) -> Choice:
    """Choose the images of a chapter.

    Args:
        kind: `general` (CIFAR-10, else MNIST) or `faces` (LFW, else ORL). The profile `quick` always takes the second.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in PREFERRED:
        raise ValueError(f"There is no kind of images {kind!r}; choose one of {', '.join(PREFERRED)}.")
    better, embedded = PREFERRED[kind]
    if current_profile() == "quick":
        return Choice(load(embedded), f"The profile quick always uses the embedded {TITLES[embedded]} images.")
    try:
        return Choice(load(better), f"{TITLES[better]} was found, the first choice for this chapter.")
    except FileNotFoundError as error:
        reason = f"{TITLES[better]} cannot be had here, so the embedded {TITLES[embedded]} images stand in."
        return Choice(load(embedded), f"{reason} ({error})")
