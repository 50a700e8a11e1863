# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The demo's frames, made of real photographs that come inside scikit-image.

A room with known depth (Middlebury 2014, "Motorcycle"), the same room corrupted on purpose, and
photographs that are no rooms. Each frame is an image file; a frame whose camera is known has its
calibration beside it, one whose depth is known a ``.npy`` of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import shutil
from typing import TypeVar

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.calibration_files import write_calibration
from emu_perception.cameras.image_files import read_image
from emu_perception.cameras.pinhole import Pinhole
from emu_perception.corruptions import BASIC, corrupted, SEVERITIES
from emu_perception.errors import EmuError, InputError
from emu_perception.ros.demo.geometry import (
    cut,
    disparity_to_depth,
    path_of_windows,
    seen_through,
)
import numpy as np
import skimage

# The documentation of skimage.data.stereo_motorcycle, for the picture as it is shipped (741x500).
MOTORCYCLE = Pinhole(fx=994.978, fy=994.978, cx=311.193, cy=254.877)
BASELINE_M = 0.193001
DISPARITY_OFFSET = 31.086
NO_ROOMS = ('coffee.png', 'chelsea.png', 'astronaut.png', 'rocket.jpg')
SIZE = (640, 480)  # width, height of the room's frames

_ROOM_FRAMES = 12
_BETWEEN_FRAMES = 4
_CORRUPTED_FRAMES = 3
_NO_ROOM_FRAMES = 3
_Item = TypeVar('_Item')


@dataclass(frozen=True)
class DemoFrame:
    """
    One frame.

    :ivar name: file name.
    :ivar kind: 'room', 'no room', one of ``BASIC``, or 'own'.
    :ivar depth_file: true depth (float32 HxW metres, NaN unknown), or None.
    """

    name: str
    kind: str
    depth_file: Path | None = None


def make_frames(folder: Path) -> list[DemoFrame]:
    """
    Write the demo's frames into ``folder`` (emptied first), in the order they are shown.

    :raises EmuError: if the photographs are not installed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    room = _photograph('motorcycle_left.png')
    depth = disparity_to_depth(np.load(_data_file('motorcycle_disp.npz'))['arr_0'],
                               MOTORCYCLE.fx, BASELINE_M, DISPARITY_OFFSET)
    aspect = SIZE[0] / SIZE[1]
    windows = path_of_windows(_ROOM_FRAMES, room.shape[1], room.shape[0], aspect)
    rng = np.random.default_rng(0)
    frames: list[DemoFrame] = []
    for index, kind in enumerate(_room_plan()):
        window = windows[index % len(windows)]
        image = cut(room, window, *SIZE)
        if kind != 'room':
            image = corrupted(image, kind, SEVERITIES[-1], rng)
        frame = _write(folder, len(frames), kind, image)
        stem = folder / Path(frame.name).stem
        camera = seen_through(MOTORCYCLE, window, *SIZE)
        write_calibration(stem.with_suffix('.yaml'), pinhole_info(
            *SIZE, camera.fx, camera.fy, camera.cx, camera.cy))
        depth_file = stem.with_suffix('.npy')
        np.save(depth_file, cut(depth, window, *SIZE))
        frames.append(DemoFrame(frame.name, kind, depth_file))
    for name in NO_ROOMS:
        photograph = _photograph(name)
        height, width = photograph.shape[:2]
        for window in path_of_windows(_NO_ROOM_FRAMES, width, height, width / height):
            # At its own size, and without camera_info: nobody knows these cameras.
            image = cut(photograph, window, width, height)
            frames.append(_write(folder, len(frames), 'no room', image))
    return frames


def evenly_spaced(items: Sequence[_Item], limit: int) -> list[_Item]:
    """Return at most ``limit`` (1 or more) of the items, from the first to the last."""
    if len(items) <= limit:
        return [*items]
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def thinned(frames: list[DemoFrame], folder: Path, limit: int) -> list[DemoFrame]:
    """Return at most ``limit`` frames, evenly spaced; the others are removed from ``folder``."""
    kept = evenly_spaced(frames, limit)
    for frame in frames:
        if frame not in kept:
            (folder / frame.name).unlink()
    return kept


def _room_plan() -> Iterator[str]:
    yield from ['room'] * _ROOM_FRAMES
    for kind in BASIC:
        yield from [kind] * _CORRUPTED_FRAMES
        yield from ['room'] * _BETWEEN_FRAMES


def _write(folder: Path, number: int, kind: str, image: np.ndarray) -> DemoFrame:
    name = f'{number:03d}_{kind.replace(" ", "_")}.png'
    cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return DemoFrame(name, kind)


def _photograph(name: str) -> np.ndarray:
    path = _data_file(name)
    try:
        return read_image(path)
    except InputError as error:
        raise EmuError(f'{path}: {error}; install scikit-image again') from error


def _data_file(name: str) -> Path:
    path = Path(skimage.__file__).parent / 'data' / name
    if not path.is_file():
        raise EmuError(f'{path} is missing: this scikit-image does not carry its photographs; '
                       'pip install scikit-image')
    return path
