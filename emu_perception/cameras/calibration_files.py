# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Calibrations in YAML: ROS camera_calibration files, ``intrinsics`` of a dataset.yaml.

A calibration is never invented: without such a file an image has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
import textwrap
from typing import Any

from emu_perception.cameras.calibration import CameraInfo, pinhole_info
from emu_perception.errors import InputError, text_of
from emu_perception.foreign_files import read_text, why_unread
from emu_perception.intrinsics import read_intrinsics
from emu_perception.rules import as_number, as_whole, checked_fields, FieldError, Rule
from emu_perception.whole_files import write_whole

_NUMBER, _WHOLE = as_number(Rule(float)), as_whole(Rule(int, low=0))
_LONGEST = 80  # Characters of a value in a message.


def read_calibration(path: Path) -> CameraInfo:
    """
    Read either kind of file.

    :raises InputError: one line with file and field.
    """
    content = read_mapping(path)
    if 'intrinsics' in content:
        return _intrinsics(path, content['intrinsics'])
    try:
        return CameraInfo(
            width=_side(content, 'image_width'), height=_side(content, 'image_height'),
            k=_matrix(content, 'camera_matrix', 9),
            p=_matrix(content, 'projection_matrix', 12),
            d=_matrix(content, 'distortion_coefficients', None),
            r=_matrix(content, 'rectification_matrix', 9),
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
            values = read_mapping(path).get('intrinsics')
            return None if values is None else _intrinsics(path, values)
    return None


def write_calibration(path: Path, info: CameraInfo) -> None:
    """Write a ROS camera_calibration file; the form has no place for binning and region."""
    import yaml

    def matrix(values: Sequence[float], rows: int) -> dict[str, Any]:
        return {'rows': rows, 'cols': len(values) // rows, 'data': list(values)}

    write_whole(path, yaml.safe_dump({
        'image_width': info.width, 'image_height': info.height, 'camera_name': path.stem,
        'camera_matrix': matrix(info.k, 3), 'distortion_model': info.distortion_model,
        'distortion_coefficients': matrix(info.d, 1),
        'rectification_matrix': matrix(info.r, 3), 'projection_matrix': matrix(info.p, 3),
    }, sort_keys=False))


def _intrinsics(path: Path, values: object) -> CameraInfo:
    try:
        # As a data set's, but for further fields: whose they are is not asked here.
        camera, _ = checked_fields({'intrinsics': values}, {'intrinsics': read_intrinsics}
                                   )['intrinsics']
    except FieldError as error:
        raise InputError(error.of_file(path)) from error
    return pinhole_info(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """
    Read a YAML mapping.

    :raises InputError: one line with file and what is wrong.
    """
    from emu_perception.yaml_documents import load_yaml
    import yaml
    try:
        content = load_yaml(read_text(path))
    except OSError as error:
        raise InputError(f'{path}: {why_unread(error)}: give a ROS camera_calibration file or a '
                         'dataset.yaml with intrinsics') from error
    except yaml.YAMLError as error:
        raise InputError(f'{path}: cannot be read as YAML: {text_of(error)}') from error
    if not isinstance(content, Mapping):
        raise InputError(f'{path}: is no YAML mapping')
    return content


def _side(content: Mapping[str, Any], name: str) -> int:
    value = content[name]
    try:  # Written as 640.0 or in quotes too.
        return _WHOLE(_NUMBER(value))
    except ValueError as error:
        raise ValueError(f"field '{name}' is {_shown(value)}: {error}") from None


def _matrix(content: Mapping[str, Any], name: str, length: int | None) -> tuple[float, ...]:
    matrix = content[name]
    data = matrix.get('data') if isinstance(matrix, Mapping) else None
    if not isinstance(data, list):
        raise ValueError(f"field '{name}' is {_shown(matrix)}: give rows, cols and data, a list "
                         'of numbers')
    try:
        # Whether they are finite is asked of all: the field is what is wrong then.
        values = tuple(float(value) if isinstance(value, float) else _NUMBER(value)
                       for value in data)
    except ValueError as error:
        raise ValueError(f"field '{name}.data' is {_shown(data)}: {error}, in each place"
                         ) from None
    if length is not None and len(values) != length:
        raise ValueError(f'{name} has {len(values)} numbers, not {length}')
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'{name} has a number that is not finite')
    return values


def _shown(value: object) -> str:
    return textwrap.shorten(repr(value), _LONGEST)
