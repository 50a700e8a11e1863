# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a calibration can be used for an image: the one place that judges it."""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.camera import Camera
from emu_perception.errors import InputError


@dataclass(frozen=True)
class Remark:
    """
    What is wrong with or odd about a calibration.

    :ivar code: of which kind that is, the same whatever the numbers: to say each kind once.
    :ivar text: one line that names field and value.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Judgement:
    """
    What became of a calibration.

    :ivar camera: of the image; None where the calibration cannot be used for it.
    :ivar problem: why not.
    :ivar warnings: what is odd about one that is used all the same.
    """

    camera: Camera | None
    problem: Remark | None = None
    warnings: tuple[Remark, ...] = ()

    def needed(self) -> Camera:
        """
        Return the camera where one cannot go on without.

        :raises InputError: the problem.
        """
        if self.camera is None:
            raise InputError(self.problem.text if self.problem else 'no calibration')
        return self.camera


def judge(info: CameraInfo, width: int, height: int, *, rectified: bool,
          what: str = 'camera_info') -> Judgement:
    """
    Judge a calibration for an image.

    :param width, height: of the image, pixels.
    :param rectified: whether the image is a rectified one (see :func:`~.topics.looks_rectified`).
    :param what: what the calibration is called in the texts.
    """
    def refused(code: str, text: str) -> Judgement:
        return Judgement(None, Remark(code, f'{what} {text}'))

    # P holds the camera of the rectified image, which rectification may have zoomed; K the one of
    # the image as the sensor gives it.
    use_p = rectified and info.p[0] > 0 or not info.k[0] > 0
    matrix, row = (info.p, 4) if use_p else (info.k, 3)
    fx, fy, cx, cy = (matrix[i] for i in (0, row + 1, 2, row + 2))
    # Every number: what is not used here is handed on in the outgoing camera_info.
    usable = fx > 0 and fy > 0 and all(map(math.isfinite, (*info.k, *info.p, *info.r, *info.d)))
    if not (usable and info.width and info.height):
        return refused('not_calibrated', f'is not calibrated: fx {fx}, fy {fy}, cx {cx}, cy {cy}, '
                       f'size {info.width}x{info.height}')
    # Half a degree to 170 degrees of view: outside of it is a unit or a matrix gone wrong, and a
    # focal length of almost 0 would make sigma 0, which lowers the risk flag.
    if not all(0.04 < f / side < 100 for f, side in ((fx, info.width), (fy, info.height))):
        return refused('not_plausible', f'is not plausible: fx {fx}, fy {fy} pixels at '
                       f'{info.width}x{info.height}')
    binning_x, binning_y = info.binning
    camera = Camera(
        width=(info.roi.width or info.width) // binning_x,
        height=(info.roi.height or info.height) // binning_y,
        fx=fx / binning_x, fy=fy / binning_y, cx=(cx - info.roi.x_offset) / binning_x,
        cy=(cy - info.roi.y_offset) / binning_y,
        distorted=not rectified and any(value != 0 for value in info.d), info=info)
    if (camera.width, camera.height) != (width, height):
        return refused('other_size', f'is for {camera.width}x{camera.height}, the image is '
                       f'{width}x{height}')
    warnings: tuple[Remark, ...] = ()
    if camera.distorted:
        distortion = ', '.join(f'{value:.4g}' for value in info.d)
        warnings = (Remark('distorted', f'{what} has distortion (D = {distortion}) and the image '
                           'is not rectified: depth and points are off towards the edges; take a '
                           'rectified image (image_proc, a topic named image_rect)'),)
    return Judgement(camera, warnings=warnings)
