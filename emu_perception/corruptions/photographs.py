# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs that are no rooms: those that come inside installed Python packages."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
from emu_perception.errors import InputError
import numpy as np

# Food, animals, people, machines in the open, the sky, the eye's ground, a street, a flower, and
# textures that fill the picture.
NO_ROOMS = {
    'skimage': ('data/coffee.png', 'data/chelsea.png', 'data/astronaut.png', 'data/rocket.jpg',
                'data/retina.jpg', 'data/hubble_deep_field.jpg', 'data/ihc.png',
                'data/camera.png', 'data/brick.png', 'data/grass.png', 'data/gravel.png',
                'data/coins.png'),
    'sklearn': ('datasets/images/china.jpg', 'datasets/images/flower.jpg'),
    'matplotlib': ('mpl-data/sample_data/grace_hopper.jpg',)}
# A garage with a motorcycle: the one of them that is a room.
ROOM = ('skimage', 'data/motorcycle_left.png')


def no_room_files() -> list[Path]:
    """Return the photographs of ``NO_ROOMS`` that are installed; no package is imported."""
    return [path for package, names in NO_ROOMS.items() for name in names
            if (path := package_file(package, name)) is not None]


def package_file(package: str, name: str) -> Path | None:
    """Return a file inside an installed package, which is not imported; None if there is none."""
    found = find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / name
    return path if path.is_file() else None


def read_rgb(path: Path) -> np.ndarray:
    """
    Read an image, uint8 [H, W, 3] rgb.

    :raises InputError: if it is none.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        if not path.exists():
            raise InputError(f'{path}: no such file')
        raise InputError(f'{path}: cannot be read as an image: remove or replace it')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=1)
def no_rooms() -> tuple[np.ndarray, ...]:
    """
    Return the photographs that are no rooms, read once.

    :raises InputError: if no package with some is installed.
    """
    files = no_room_files()
    if not files:
        raise InputError('there are no photographs that are no rooms: pip install scikit-image')
    return tuple(read_rgb(path) for path in files)
