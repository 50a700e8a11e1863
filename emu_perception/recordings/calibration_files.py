# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations from YAML: ROS camera_calibration files, ``intrinsics`` of a dataset.yaml."""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path
from typing import Any

from emu_perception.errors import InputError
from emu_perception.recordings.camera import CameraInfo, pinhole_info


def read_calibration(path: Path) -> CameraInfo:
    """
    Read either kind of file.

    :raises InputError: one line with file and field.
    """
    content = load_mapping(path)
    if 'intrinsics' in content:
        return _intrinsics(path, content['intrinsics'])
    try:
        return CameraInfo(
            width=int(content['image_width']), height=int(content['image_height']),
            k=matrix_of(content, 'camera_matrix', 9),
            p=matrix_of(content, 'projection_matrix', 12),
            d=matrix_of(content, 'distortion_coefficients', None),
            r=matrix_of(content, 'rectification_matrix', 9),
            distortion_model=str(content.get('distortion_model', 'plumb_bob')))
    except KeyError as error:
        raise InputError(f'{path}: field {error} is missing: give a ROS camera_calibration file '
                         'or a dataset.yaml with intrinsics') from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f'{path}: not a ROS camera_calibration file: {error}') from error


def find_calibration(folder: Path) -> CameraInfo | None:
    """
    Return the intrinsics of the dataset.yaml of a data set, given its root or its image/.

    :raises InputError: one line with file and field.
    """
    roots = (folder, folder.parent) if folder.name == 'image' else (folder,)
    for path in (root / 'dataset.yaml' for root in roots):
        if path.is_file():
            values = load_mapping(path).get('intrinsics')
            return None if values is None else _intrinsics(path, values)
    return None


def _intrinsics(path: Path, values: Any) -> CameraInfo:
    try:
        numbers = [float(values[name]) for name in ('fx', 'fy', 'cx', 'cy')]
        if not all(map(math.isfinite, numbers)):
            raise ValueError('a number is not finite')
        return pinhole_info(int(values['width']), int(values['height']), *numbers)
    except KeyError as error:
        raise InputError(f'{path}: field intrinsics.{error.args[0]} is missing') from error
    except (TypeError, ValueError) as error:
        raise InputError(f'{path}: field intrinsics: {error}') from error


def load_mapping(path: Path) -> Mapping[str, Any]:
    """
    Read a YAML file that holds a mapping.

    :raises InputError: one line with the file.
    """
    import yaml
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f'{path}: cannot be read as YAML: {reason}') from error
    if not isinstance(content, Mapping):
        raise InputError(f'{path}: is no YAML mapping')
    return content


def matrix_of(content: Mapping[str, Any], name: str, length: int | None) -> list[float]:
    """
    Return the numbers of a matrix of a camera_calibration file.

    :raises ValueError: if there are not ``length`` of them, or one is not finite.
    """
    values = [float(value) for value in content[name]['data']]
    if length is not None and len(values) != length:
        raise ValueError(f'{name} has {len(values)} numbers, not {length}')
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'{name} has a number that is not finite')
    return values
