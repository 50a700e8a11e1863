# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Which encodings an installed cv_bridge converts rightly, found out once for a set of versions.

The probe runs in a process of its own: a cv_bridge built against another NumPy can end the process
with a segmentation fault, which no ``except`` catches. (PyPI's ``cv-bridge`` is ROS 1's and
ignores the step.) What it found, a crash too, is remembered until any of the versions changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import cv2
from emu_perception.cache_files import cache_folder, cache_key, read_cached, write_cached
from emu_perception.cameras import image_decoding
from emu_perception.ros import image_messages
from emu_perception.ros.image_messages import ENCODINGS, image_to_rgb, to_bytes
import numpy as np
from sensor_msgs.msg import Image

MUST_HAVE = frozenset({'rgb8', 'bgr8', 'mono8'})
_PROBE_TIMEOUT_S = 30.0
# Somebody ended the probe, which says nothing of cv_bridge.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
# For this process, where no file can be written.
_known: dict[str, ProbeResult] = {}


@dataclass(frozen=True)
class ProbeResult:
    """
    What the probe found.

    :ivar proven: the encodings that cv_bridge converts as we do.
    :ivar problem: what is wrong with it, in words; empty if nothing.
    :ivar lasting: whether it is the same at the next start: not so where there was no time.
    """

    proven: frozenset[str]
    problem: str
    lasting: bool = True


def probe() -> ProbeResult:
    """Return what is known of the installed cv_bridge; starts a process only if nothing is."""
    key = versions_key()
    path = cache_folder('cv_bridge') / f'{key[:16]}.json'
    result = _known.get(key) or _remembered(path, key)
    if result is None:
        result = _probe_in_subprocess()
        if result.lasting:
            write_cached(path, key, json.dumps(
                {'proven': sorted(result.proven), 'problem': result.problem}).encode(),
                'cv_bridge is probed again at the next start')
    if result.lasting:
        _known[key] = result
    return result


def versions_key() -> str:
    """Return one key for all that the probe's result depends on."""
    return cache_key(sys.version, sys.executable, np.__version__, np.__file__, cv2.__version__,
                     cv2.__file__, *_files(), _installed_version())


def proven_encodings(bridge: Any) -> frozenset[str]:
    """Return the encodings that ``bridge`` converts as we do, padded rows included."""
    good = set()
    for encoding in ENCODINGS:
        image = probe_image(encoding)
        try:
            theirs = np.asarray(bridge.imgmsg_to_cv2(image, 'rgb8'))
        except Exception:  # whatever it is, this encoding is ours then
            continue
        ours = image_to_rgb(image)
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


def _installed_version() -> str:
    try:
        return version('cv_bridge')
    except PackageNotFoundError:
        return ''


def _files() -> Iterator[str]:
    """Yield path, size and time of each file that the result depends on: cv_bridge's and ours."""
    spec = find_spec('cv_bridge')
    folders = [] if spec is None else [Path(folder) for folder in
                                       spec.submodule_search_locations or ()]
    # The compiled part lies beside the Python of it.
    theirs = [file for folder in folders for file in sorted(folder.rglob('*'))
              if file.suffix in ('.py', '.so') and file.is_file()]
    ours = (__file__, image_messages.__file__, image_decoding.__file__)
    for file in (*theirs, *map(Path, ours)):
        state = file.stat()
        yield f'{file} {state.st_size} {state.st_mtime_ns}'


def _remembered(path: Path, key: str) -> ProbeResult | None:
    content = read_cached(path, key, 'cv_bridge is probed again')
    if content is None:
        return None
    kept = json.loads(content)
    problem = f'{kept["problem"]}, as {path} remembers' if kept['problem'] else ''
    return ProbeResult(frozenset(kept['proven']), problem)


def _probe_in_subprocess() -> ProbeResult:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run([sys.executable, '-m', __name__], env=environment, text=True,
                              capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return ProbeResult(frozenset(), f'its probe did not end within {_PROBE_TIMEOUT_S:.0f} s',
                           lasting=False)
    except OSError as error:
        return ProbeResult(frozenset(), f'its probe cannot be started ({error.strerror})',
                           lasting=False)
    try:
        proven = frozenset(json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        return ProbeResult(frozenset(), f'its probe ended with code {done.returncode}',
                           lasting=done.returncode not in _KILLED)
    missing = MUST_HAVE - proven
    return ProbeResult(proven,
                       f'it converts {", ".join(sorted(missing))} wrongly' if missing else '')


if __name__ == '__main__':
    from cv_bridge import CvBridge as _CvBridge
    print(json.dumps(sorted(proven_encodings(_CvBridge()))))
