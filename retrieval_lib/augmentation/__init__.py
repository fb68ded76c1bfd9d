"""Random views: what an image may look like and still be the same image."""

from retrieval_lib.augmentation.views import (
    DHD_STRONG,
    FACES,
    MIRRORED,
    SHIFTED,
    SIMCLR,
    RandomView,
    ViewSettings,
    settings_for,
)

__all__ = ["DHD_STRONG", "FACES", "MIRRORED", "SHIFTED", "SIMCLR", "RandomView", "ViewSettings", "settings_for"]
