# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The tree of Cityscapes as it is published: which files an image has, and how to read them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
import json
import math
from pathlib import Path

from emu_perception.foreign_files import is_litter, read_text
import numpy as np

from ..data import image_maps
from ..data.dataset_folder import DatasetError

_IMAGE = '_leftImg8bit.png'


@dataclass(frozen=True)
class StereoCamera:
    """Left camera (pixels at full size) and the stereo baseline (metres) of one image."""

    fx: float
    fy: float
    cx: float
    cy: float
    baseline: float


@dataclass(frozen=True)
class ImageFiles:
    """The files of one image; ``None`` is what it does not have, or what was not asked for."""

    stem: str
    image: Path
    label: Path | None
    instance: Path | None
    disparity: Path | None
    camera: Path | None


def find_frames(root: Path, split: str, *, label_kind: str | None, disparity: bool,
                camera: bool) -> list[ImageFiles]:
    """
    List the images of a split with their files.

    :param label_kind: 'labelIds' or 'labelTrainIds'; None for no labels.
    :param disparity: the disparity map is needed.
    :param camera: the camera file is needed; otherwise it is taken where it exists.
    :raises DatasetError: if there is no image, or a needed file is missing: before anything is
        written, because a conversion takes long.
    """
    images = sorted(path for path in (root / 'leftImg8bit' / split).glob(f'*/*{_IMAGE}')
                    if not is_litter(path.name))
    if not images:
        if not root.is_dir():
            what = 'is a file' if root.exists() else 'no such folder'
            raise DatasetError(f'{root}: {what}; --root is the one that holds '
                               'leftImg8bit, gtFine, disparity and camera')
        raise DatasetError(f'{root}/leftImg8bit/{split}: no CITY/*{_IMAGE} there; --root is the '
                           'folder that holds leftImg8bit, gtFine, disparity and camera')
    frames, missing = [], []
    for image in images:
        stem, city = image.name[:-len(_IMAGE)], image.parent.name
        truth = root / 'gtFine' / split / city
        paths = {
            'label': truth / f'{stem}_gtFine_{label_kind}.png' if label_kind else None,
            'disparity': (root / 'disparity' / split / city / f'{stem}_disparity.png'
                          if disparity else None),
            'camera': root / 'camera' / split / city / f'{stem}_camera.json',
            'instance': truth / f'{stem}_gtFine_instanceIds.png' if label_kind else None}
        for kind, path in paths.items():
            if path is not None and not path.is_file():
                paths[kind] = None
                if kind != 'instance' and (kind != 'camera' or camera):
                    missing.append(path)
        frames.append(ImageFiles(stem, image, **paths))
    if missing:
        more = f' and {len(missing) - 1} more are' if len(missing) > 1 else ' is'
        raise DatasetError(f'{missing[0]}{more} missing: unpack the package '
                           f"'{missing[0].relative_to(root).parts[0]}' too"
                           + (' (csCreateTrainIdLabelImgs of cityscapesScripts makes these)'
                              if 'labelTrainIds' in missing[0].name else ''))
    return frames


def read_camera(path: Path) -> StereoCamera:
    """
    Read a ``*_camera.json``.

    :raises DatasetError: if a value is missing, not finite or not positive where it has to be.
    """
    try:
        values = json.loads(read_text(path))
        inner, outer = values['intrinsic'], values['extrinsic']
        camera = StereoCamera(float(inner['fx']), float(inner['fy']), float(inner['u0']),
                              float(inner['v0']), float(outer['baseline']))
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
    except KeyError as error:
        raise DatasetError(f'{path}: field {error} is missing; intrinsic has fx, fy, u0, v0, '
                           'extrinsic has baseline') from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f'{path}: not a camera file ({error})') from error
    if not (all(math.isfinite(value) for value in astuple(camera))
            and camera.fx > 0 and camera.fy > 0 and camera.baseline > 0):
        raise DatasetError(f'{path}: fx {camera.fx}, fy {camera.fy} and baseline '
                           f'{camera.baseline} must be positive, u0 {camera.cx} and v0 '
                           f'{camera.cy} numbers')
    return camera


def read_map(path: Path, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """
    Read a single-channel PNG [H, W].

    :raises DatasetError: if it is unreadable or of another kind.
    """
    values = image_maps.read_map(path, palette=False)
    if values is None or values.dtype != dtype:
        raise DatasetError(f'{path}: not a readable single-channel PNG of '
                           f'{np.dtype(dtype).itemsize * 8} bits')
    return values
