# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Calibrations from files, as camera_info.

Read are ROS camera_calibration YAML files and the ``intrinsics`` of a data set's dataset.yaml.
A camera_info is never invented: without such a file an image goes out without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emu_perception.errors import InputError
from emu_perception.recordings.calibration_files import load_mapping, matrix_of
from emu_perception.ros.camera_model import camera_model, scaled_camera_info
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
import yaml


def pinhole_info(width: int, height: int, fx: float, fy: float, cx: float,
                 cy: float) -> CameraInfo:
    """Return the camera_info of an image without distortion; all in pixels of that image."""
    return CameraInfo(
        width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])


def read_camera_info(path: Path) -> CameraInfo:
    """
    Read a calibration YAML file.

    :raises InputError: one line with file and field.
    """
    content = load_mapping(path)
    try:
        info = CameraInfo(width=int(content['image_width']), height=int(content['image_height']),
                          distortion_model=str(content.get('distortion_model', 'plumb_bob')))
        info.k = matrix_of(content, 'camera_matrix', 9)
        info.d = matrix_of(content, 'distortion_coefficients', None)
        info.r = matrix_of(content, 'rectification_matrix', 9)
        info.p = matrix_of(content, 'projection_matrix', 12)
    except KeyError as error:
        raise InputError(f'{path}: field {error} is missing: give a ROS camera_calibration '
                         'file') from error
    except (TypeError, ValueError, AssertionError, OverflowError) as error:
        raise InputError(f'{path}: not a ROS camera_calibration file: {error}') from error
    return info


def write_camera_info(path: Path, info: CameraInfo) -> None:
    """Write the calibration of an image without distortion in the ROS camera_calibration form."""
    def matrix(values: Any, rows: int) -> dict[str, Any]:
        data = [float(value) for value in values]
        return {'rows': rows, 'cols': len(data) // rows, 'data': data}

    path.write_text(yaml.safe_dump({
        'image_width': info.width, 'image_height': info.height, 'camera_name': path.stem,
        'camera_matrix': matrix(info.k, 3), 'distortion_model': info.distortion_model,
        'distortion_coefficients': matrix(info.d, 1),
        'rectification_matrix': matrix(info.r, 3), 'projection_matrix': matrix(info.p, 3),
    }, sort_keys=False))


def dataset_camera_info(path: Path) -> CameraInfo | None:
    """
    Read the intrinsics of a dataset.yaml; None where it has none.

    :raises InputError: one line with file and field.
    """
    values = load_mapping(path).get('intrinsics')
    if values is None:
        return None
    try:
        return pinhole_info(int(values['width']), int(values['height']),
                            *(float(values[name]) for name in ('fx', 'fy', 'cx', 'cy')))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f'{path}: field intrinsics: {error}') from error


def find_folder_info(source: Path) -> CameraInfo | None:
    """Return the intrinsics of the dataset.yaml in a data set's root, given it or its image/."""
    folder = source if source.is_dir() else source.parent
    for path in (folder / 'dataset.yaml', folder.parent / 'dataset.yaml'):
        # The parent's counts only for the data set's own images.
        if path.is_file() and (path.parent == folder or folder.name == 'image'):
            return dataset_camera_info(path)
    return None


def resized_info(info: CameraInfo, width: int, height: int) -> CameraInfo:
    """Return the camera_info of the image resized to ``width`` x ``height``."""
    return scaled_camera_info(camera_model(info, rectified=False), width, height, Header())
