# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The demo's frames, made of real photographs: a living room, a garage, and what is no room.

The living room, in which the default model works, alternates with itself corrupted on purpose;
the garage is unlike its training data. Each frame is an image file; a frame whose camera is known
has its calibration beside it, one whose depth is known a ``.npy`` of it.
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
from emu_perception.corruptions import BASIC, corrupted, SEVERITIES
from emu_perception.ros.demo.geometry import cut, path_of_windows, seen_through, Window
from emu_perception.ros.demo.scenes import garage, living_room, Scene, skimage_photograph
import numpy as np

NO_ROOMS = ('coffee.png', 'chelsea.png', 'astronaut.png', 'rocket.jpg')
SIZE = (640, 480)  # width, height of the rooms' frames

_ROOM_FRAMES = 8
_BETWEEN_FRAMES = 4
_CORRUPTED_FRAMES = 3
_GARAGE_FRAMES = 5
_NO_ROOM_FRAMES = 3
_Item = TypeVar('_Item')


@dataclass(frozen=True)
class DemoFrame:
    """
    One frame.

    :ivar name: file name.
    :ivar kind: 'room', one of ``BASIC`` (of that room), 'garage', 'no room', or 'own'.
    :ivar depth_file: known depth (float32 HxW metres, NaN unknown), or None.
    :ivar depth_is: how that is known, for people.
    """

    name: str
    kind: str
    depth_file: Path | None = None
    depth_is: str = 'true depth'


def make_frames(folder: Path) -> list[DemoFrame]:
    """
    Write the demo's frames into ``folder`` (emptied first), in the order they are shown.

    :raises EmuError: if the photographs are not installed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    room, other = living_room(), garage()
    rng = np.random.default_rng(0)
    frames: list[DemoFrame] = []
    # The widest view is the third: with the third good image the node lowers its flag.
    windows = _windows(room, _ROOM_FRAMES)
    for index, kind in enumerate(_room_plan()):
        frames.append(_seen(folder, len(frames), kind, room, windows[(index - 2) % len(windows)],
                            rng))
    for window in _windows(other, _GARAGE_FRAMES):
        frames.append(_seen(folder, len(frames), 'garage', other, window, rng))
    for name in NO_ROOMS:
        photograph = skimage_photograph(name)
        height, width = photograph.shape[:2]
        for window in path_of_windows(_NO_ROOM_FRAMES, width, height, width / height):
            # At its own size, and without camera_info: nobody knows these cameras.
            image = cut(photograph, window, width, height)
            frames.append(DemoFrame(_write(folder, len(frames), 'no room', image), 'no room'))
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


def _windows(scene: Scene, count: int) -> list[Window]:
    height, width = scene.image.shape[:2]
    return path_of_windows(count, width, height, SIZE[0] / SIZE[1])


def _seen(folder: Path, number: int, kind: str, scene: Scene, window: Window,
          rng: np.random.Generator) -> DemoFrame:
    """Write a frame of a room with its calibration and its depth."""
    image = cut(scene.image, window, *SIZE)
    if kind in BASIC:
        image = corrupted(image, kind, SEVERITIES[-1], rng)
    name = _write(folder, number, kind, image)
    stem = folder / Path(name).stem
    camera = seen_through(scene.camera, window, *SIZE)
    write_calibration(stem.with_suffix('.yaml'), pinhole_info(
        *SIZE, camera.fx, camera.fy, camera.cx, camera.cy))
    depth_file = stem.with_suffix('.npy')
    np.save(depth_file, cut(scene.depth, window, *SIZE))
    return DemoFrame(name, kind, depth_file, scene.depth_is)


def _write(folder: Path, number: int, kind: str, image: np.ndarray) -> str:
    """Write a picture and return its name."""
    name = f'{number:03d}_{kind.replace(" ", "_")}.png'
    cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return name
