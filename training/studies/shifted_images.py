# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images unlike those of training: a folder of them, and photographs that are no rooms."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
from emu_perception.errors import InputError
import numpy as np

# Photographs and close-ups that come inside Python packages: food, animals, people, machines in
# the open, the sky, the eye's ground, a street, a flower, and textures that fill the picture.
NO_ROOMS = {
    'skimage': ('data/coffee.png', 'data/chelsea.png', 'data/astronaut.png', 'data/rocket.jpg',
                'data/retina.jpg', 'data/hubble_deep_field.jpg', 'data/ihc.png',
                'data/camera.png', 'data/brick.png', 'data/grass.png', 'data/gravel.png',
                'data/coins.png'),
    'sklearn': ('datasets/images/china.jpg', 'datasets/images/flower.jpg'),
    'matplotlib': ('mpl-data/sample_data/grace_hopper.jpg',)}
_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.webp')


def no_room_files() -> list[Path]:
    """Return the photographs of ``NO_ROOMS`` that are installed."""
    files = []
    for package, names in NO_ROOMS.items():
        found = find_spec(package)
        if found is not None and found.origin is not None:
            files += [Path(found.origin).parent / name for name in names]
    return [path for path in files if path.is_file()]


def image_files(text: str) -> tuple[str, list[Path]]:
    """
    Read ``NAME=FOLDER``: a group's name and its images.

    :raises InputError: if it is something else, or there is no image.
    """
    name, equals, folder = text.partition('=')
    if not (name and equals and folder):
        raise InputError(f"--images is '{text}': give NAME=FOLDER")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(f'--images {text}: {root} is no folder')
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError(f'--images {text}: no image ({", ".join(_SUFFIXES)}) in {root}')
    return name, files


def images_of(files: list[Path]) -> Iterator[np.ndarray]:
    """
    Yield images, uint8 [H, W, 3] rgb.

    :raises InputError: for a file that is none.
    """
    for path in files:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f'{path}: cannot be read as an image: remove or replace it')
        yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
