# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Frames from a user's folder: plain images, or a data set folder with its true depth."""

from __future__ import annotations

from pathlib import Path
import shutil

from emu_perception.cameras import png_bytes
from emu_perception.cameras.image_files import image_paths
from emu_perception.errors import InputError
from emu_perception.foreign_files import read_text
from emu_perception.ros.demo.frames import DemoFrame
from emu_perception.yaml_documents import load_yaml
import numpy as np


def own_images(images: Path) -> list[Path]:
    """
    Return the images of a folder, or of a data set's.

    :raises InputError: if ``images`` is no folder with images.
    """
    if not images.is_dir():
        raise InputError(f'{images}: give a folder of images')
    return image_paths(images)


def own_frames(picked: list[Path], folder: Path) -> list[DemoFrame]:
    """Link images into ``folder`` (emptied first), each with what is known of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    description = _dataset_file(picked[0])
    if description is not None:
        (folder / 'dataset.yaml').symlink_to(description.resolve())
    frames = []
    for path in picked:
        (folder / path.name).symlink_to(path.resolve())
        beside = path.with_suffix('.yaml')
        if beside.is_file():
            (folder / beside.name).symlink_to(beside.resolve())
        depth = path.parent.parent / 'depth' / f'{path.stem}.png'
        known = description is not None and depth.is_file()
        frames.append(DemoFrame(path.name, 'own', depth if known else None))
    return frames


def read_true_depth(file: Path) -> np.ndarray | None:
    """
    Read the true depth of a frame: ``.npy`` of the demo's own, or a data set's PNG.

    :return: float32 HxW metres, NaN unknown; None if it cannot be read.
    """
    if file.suffix == '.npy':
        return np.load(file)
    description = _dataset_file(file)
    values = png_bytes.stored_values(file.read_bytes(), palette=False)
    if description is None or values is None:
        return None
    encoding = (load_yaml(read_text(description)) or {}).get('depth')
    if not encoding:
        return None
    depth = values.astype(np.float32) * encoding['scale'] + encoding.get('offset', 0.0)
    depth[np.isin(values, encoding.get('invalid', []))] = np.nan
    depth[(depth < encoding.get('min', 0.0)) | (depth > encoding.get('max', np.inf))] = np.nan
    return depth.astype(np.float32)


def _dataset_file(file: Path) -> Path | None:
    for folder in (file.parent, file.parent.parent):
        if (folder / 'dataset.yaml').is_file():
            return folder / 'dataset.yaml'
    return None
