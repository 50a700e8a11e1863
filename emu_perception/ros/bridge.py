# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The choice between cv_bridge and our own converter.

cv_bridge is used only for encodings in which it proved itself (``bridge_probe.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from emu_perception.errors import InputError
from emu_perception.ros.bridge_probe import MUST_HAVE, probe
from emu_perception.ros.image_messages import checked_rows, image_to_rgb
import numpy as np
from sensor_msgs.msg import Image

Converter = Callable[[Image], np.ndarray]


def choose_converter() -> tuple[Converter, str]:
    """Return a function Image -> rgb uint8 HxWx3, and one line that says which it is and why."""
    if find_spec('cv_bridge') is None:
        return image_to_rgb, 'own image converter (cv_bridge is not installed)'
    found = probe()
    if not MUST_HAVE <= found.proven:
        return image_to_rgb, f'own image converter (cv_bridge is installed, but {found.problem})'
    from cv_bridge import CvBridge
    return (bridge_converter(CvBridge(), found.proven),
            f'cv_bridge for {", ".join(sorted(found.proven))}')


def bridge_converter(bridge: Any, proven: frozenset[str]) -> Converter:
    """Return a converter that uses ``bridge`` for the proven encodings, else our own."""
    def convert(message: Image) -> np.ndarray:
        # It has proven itself on images of this machine's byte order alone.
        if message.encoding not in proven or message.is_bigendian:
            return image_to_rgb(message)
        checked_rows(message)
        try:
            return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
        except Exception as error:
            raise InputError(f'cv_bridge cannot convert {message.encoding}: {error}') from error
    return convert
