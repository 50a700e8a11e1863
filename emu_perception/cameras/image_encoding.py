# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images as the bytes of a CompressedImage."""

from __future__ import annotations

import cv2
import numpy as np

JPEG_QUALITY = 95


def to_jpeg(rgb: np.ndarray) -> tuple[bytes, str]:
    """Return an rgb uint8 HxWx3 image as JPEG, and the message's ``format``."""
    good, data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert good, 'an rgb8 image can always be encoded'
    return data.tobytes(), 'rgb8; jpeg compressed bgr8'
