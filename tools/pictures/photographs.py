# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs that may be shown, with what is known of them; and a panel as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import tempfile

import cv2
from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.image_files import read_image
from emu_perception.panels import Tile
from emu_perception.ros.demo.frames import make_frames
from emu_perception.visualization import panel
import numpy as np

_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Photographs:
    """
    Middlebury's motorcycle room, as the demo shows it, and a photograph of something else.

    :ivar room: uint8 rgb [H, W, 3].
    :ivar depth: of the room, metres, float32 [H, W], 0 where it is not known.
    :ivar fx: of the room's camera, pixels.
    :ivar other: uint8 rgb, of another size.
    """

    room: np.ndarray
    depth: np.ndarray
    fx: float
    other: np.ndarray


def photographs() -> Photographs:
    """
    Return them as the demo makes them of scikit-image's.

    :raises EmuError: if it is not installed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = make_frames(folder)
        first = next(frame for frame in frames if frame.kind == 'garage')
        last = frames[-1]
        assert first.depth_file is not None, 'the depth of the garage is known'
        calibration = read_calibration((folder / first.name).with_suffix('.yaml'))
        return Photographs(
            read_image(folder / first.name),
            np.nan_to_num(np.load(first.depth_file)).astype(np.float32), calibration.k[0],
            read_image(folder / last.name))


def write_panel(tiles: Sequence[Tile], path: Path) -> None:
    """Lay tiles out and write them as a JPEG, which is said."""
    write_jpeg(panel([(one.title, one.picture) for one in tiles],
                     bars=[one.bar for one in tiles]), path)


def write_jpeg(picture: np.ndarray, path: Path) -> None:
    """Write an rgb8 picture as a JPEG, which is said."""
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    print(f'wrote {path}')
