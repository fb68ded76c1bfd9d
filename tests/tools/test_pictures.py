"""Pictures of notebooks: packed harder, every pixel as it was."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("alpha", [255, 128])
def test_a_packed_picture_has_the_same_pixels_and_is_no_larger(monkeypatch, alpha):
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    from pictures import smaller_png

    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 4), dtype=np.uint8)
    pixels[..., 3] = alpha
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, "PNG", compress_level=0)
    packed = base64.b64decode(smaller_png(base64.b64encode(raw.getvalue()).decode()))
    assert len(packed) < raw.tell()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(packed)).convert("RGBA")), pixels)
