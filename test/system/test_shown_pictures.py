# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A picture in the documents is what the default model says today."""

from __future__ import annotations

from pathlib import Path

import cv2
from emu_perception import Predictor
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
skimage = pytest.importorskip('skimage')


def off(one: np.ndarray, two: np.ndarray) -> float:
    """Return how far two pictures are apart, in levels of 256."""
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


@pytest.mark.slow
def test_the_panel_is_the_default_models():
    """It was of the model before: another flag, another depth, other classes."""
    photograph = Path(skimage.__file__).parent / 'data' / 'motorcycle_left.png'
    assert 'fx=994.978).plot()' in (ROOT / 'docs/uncertainty.md').read_text()
    drawn = Predictor.load(device='cpu')(photograph, fx=994.978).plot()[..., ::-1]
    shown = cv2.imread(str(ROOT / 'docs/panel.jpg'))
    assert shown.shape == drawn.shape
    written, coded = cv2.imencode('.jpg', drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert written
    # What the coding costs by itself; a picture of another model is off by five times that.
    assert off(shown, drawn) < 2.0 * off(cv2.imdecode(coded, cv2.IMREAD_COLOR), drawn)
