# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The rooms of the demo: picture, camera and depth, each with how its depth is known.

A living room out of ``examples/living_room`` (a robot's stereo camera; depth by matching the
pair) and Middlebury's garage with a motorcycle out of scikit-image (depth by structured light).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.image_files import read_image
from emu_perception.cameras.pinhole import Pinhole
from emu_perception.errors import EmuError, InputError
from emu_perception.model_file import default_model
from emu_perception.ros.demo.geometry import disparity_to_depth
import numpy as np
import skimage

# The documentation of skimage.data.stereo_motorcycle, for the picture as it is shipped (741x500).
MOTORCYCLE = Pinhole(fx=994.978, fy=994.978, cx=311.193, cy=254.877)
BASELINE_M = 0.193001
DISPARITY_OFFSET = 31.086

# The range that the living room's camera names: at 5 m a quarter of a pixel is 0.2 m.
_STEREO_NEAR_M, _STEREO_FAR_M = 1.0, 5.0
# Blocks and penalties as in OpenCV's own sample of its matcher; 1 m is a disparity of 34 pixels.
_BLOCK, _DISPARITIES = 5, 48


@dataclass(frozen=True)
class Scene:
    """
    A room.

    :ivar image: uint8 rgb [H, W, 3].
    :ivar camera: of the image, pixels.
    :ivar depth: float32 [H, W], metres along the optical axis, NaN where it is not known.
    :ivar depth_is: how it is known, for people.
    """

    image: np.ndarray
    camera: Pinhole
    depth: np.ndarray
    depth_is: str


def living_room() -> Scene:
    """
    Return the living room.

    :raises EmuError: if it is not installed.
    """
    folder = default_model().parent.parent / 'examples/living_room'
    left, right = (photograph(folder / f'{side}.jpg', 'install emu_perception again')
                   for side in ('left', 'right'))
    fx, _, cx, tx, _, fy, cy, *_ = read_calibration(folder / 'right.yaml').p
    return Scene(left, Pinhole(fx, fy, cx, cy), stereo_depth(left, right, fx, -tx / fx),
                 'depth by stereo')


def garage() -> Scene:
    """
    Return the garage.

    :raises EmuError: if it is not installed.
    """
    disparity = np.load(data_file('motorcycle_disp.npz'))['arr_0']
    return Scene(skimage_photograph('motorcycle_left.png'), MOTORCYCLE, disparity_to_depth(
        disparity, MOTORCYCLE.fx, BASELINE_M, DISPARITY_OFFSET), 'true depth')


def stereo_depth(left: np.ndarray, right: np.ndarray, fx: float, baseline_m: float
                 ) -> np.ndarray:
    """
    Match a rectified pair, both uint8 rgb [H, W, 3], by OpenCV's semi-global matcher.

    :param fx: of both, pixels.
    :return: metres in the left picture, float32 [H, W]; NaN where both do not agree, and outside
        1 to 5 m.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (left, right)]
    matcher = cv2.StereoSGBM.create(
        minDisparity=0, numDisparities=_DISPARITIES, blockSize=_BLOCK, P1=8 * _BLOCK ** 2,
        P2=32 * _BLOCK ** 2, disp12MaxDiff=1, uniquenessRatio=10, speckleWindowSize=100,
        speckleRange=2, mode=cv2.StereoSGBM_MODE_HH)
    disparity = matcher.compute(*grey) / 16.0  # Of sixteenths of a pixel; below 0 is none.
    depth = disparity_to_depth(np.where(disparity > 0, disparity, np.nan), fx, baseline_m, 0.0)
    with np.errstate(invalid='ignore'):
        return np.where((depth >= _STEREO_NEAR_M) & (depth <= _STEREO_FAR_M), depth, np.nan)


def skimage_photograph(name: str) -> np.ndarray:
    """
    Return a photograph out of scikit-image, uint8 rgb [H, W, 3].

    :raises EmuError: if it is not installed.
    """
    return photograph(data_file(name), 'install scikit-image again')


def photograph(path: Path, remedy: str) -> np.ndarray:
    """
    Read a photograph that belongs to a package.

    :raises EmuError: if it cannot be read; says the remedy.
    """
    try:
        return read_image(path)
    except InputError as error:
        raise EmuError(f'{path}: {error}; {remedy}') from error


def data_file(name: str) -> Path:
    """
    Return the path of a file of scikit-image's data.

    :raises EmuError: if this scikit-image does not carry it.
    """
    path = Path(skimage.__file__).parent / 'data' / name
    if not path.is_file():
        raise EmuError(f'{path} is missing: this scikit-image does not carry its photographs; '
                       'pip install scikit-image')
    return path
