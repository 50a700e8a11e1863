# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The choice between cv_bridge and our own converter.

cv_bridge is used only for encodings in which it proved itself on a probe image with padded rows,
and the probe runs in a process of its own: a cv_bridge built against another NumPy can end the
process with a segmentation fault, which no ``except`` catches. (PyPI's ``cv-bridge`` is ROS 1's
and ignores the step.)
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
import json
import os
import subprocess
import sys
from typing import Any

from emu_perception.errors import InputError
from emu_perception.ros.image_messages import checked_rows, ENCODINGS, image_to_rgb, to_bytes
import numpy as np
from sensor_msgs.msg import Image

_PROBE_TIMEOUT_S = 30.0
_MUST_HAVE = frozenset({'rgb8', 'bgr8', 'mono8'})
Converter = Callable[[Image], np.ndarray]


def choose_converter() -> tuple[Converter, str]:
    """Return a function Image -> rgb uint8 HxWx3, and one line that says which it is and why."""
    if find_spec('cv_bridge') is None:
        return image_to_rgb, 'own image converter (cv_bridge is not installed)'
    proven, problem = _probe_in_subprocess()
    if not _MUST_HAVE <= proven:
        return image_to_rgb, f'own image converter (cv_bridge is installed, but {problem})'
    from cv_bridge import CvBridge
    return bridge_converter(CvBridge(), proven), f'cv_bridge for {", ".join(sorted(proven))}'


def bridge_converter(bridge: Any, proven: frozenset[str]) -> Converter:
    """Return a converter that uses ``bridge`` for the proven encodings, else our own."""
    def convert(message: Image) -> np.ndarray:
        if message.encoding not in proven:
            return image_to_rgb(message)
        checked_rows(message)
        try:
            return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
        except Exception as error:
            raise InputError(f'cv_bridge cannot convert {message.encoding}: {error}') from error
    return convert


def proven_encodings(bridge: Any) -> frozenset[str]:
    """Return the encodings that ``bridge`` converts as we do, padded rows included."""
    good = set()
    for encoding in ENCODINGS:
        probe = probe_image(encoding)
        try:
            theirs = np.asarray(bridge.imgmsg_to_cv2(probe, 'rgb8'))
        except Exception:  # whatever it is, this encoding is ours then
            continue
        ours = image_to_rgb(probe)
        same = theirs.shape == ours.shape and theirs.dtype == ours.dtype
        # One grey level is rounding; a wrong step, order or scale is tens of levels.
        if same and np.abs(theirs.astype(np.int16) - ours).max() <= 1:
            good.add(encoding)
    return frozenset(good)


def probe_image(encoding: str, width: int = 8, height: int = 6, padding: int = 10,
                seed: int = 0) -> Image:
    """Make a valid image of random pixels whose rows are padded with other random bytes."""
    sample_bytes = 2 if encoding.endswith('16') else 1
    channels = {'rgb8': 3, 'bgr8': 3, '8UC3': 3, 'rgba8': 4, 'bgra8': 4, 'yuv422': 2, 'uyvy': 2,
                'yuv422_yuy2': 2, 'yuyv': 2}.get(encoding, 1)
    rows = height * 3 // 2 if encoding in ('nv12', 'nv21') else height
    step = width * channels * sample_bytes + padding
    data = np.random.default_rng(seed).integers(0, 256, (rows, step), np.uint8)
    return Image(width=width, height=height, encoding=encoding, step=step, data=to_bytes(data))


def _probe_in_subprocess() -> tuple[frozenset[str], str]:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    try:
        result = subprocess.run([sys.executable, '-m', __name__], env=environment, text=True,
                                capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
        proven = frozenset(json.loads(result.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return frozenset(), f'its probe did not end within {_PROBE_TIMEOUT_S:.0f} s'
    except (OSError, ValueError, IndexError):
        return frozenset(), f'its probe ended with code {result.returncode}'
    missing = _MUST_HAVE - proven
    return proven, f'it converts {", ".join(sorted(missing))} wrongly' if missing else ''


if __name__ == '__main__':
    from cv_bridge import CvBridge as _CvBridge
    print(json.dumps(sorted(proven_encodings(_CvBridge()))))
