# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depths and labels, aligned to the colour image that comes, brought into what becomes of it."""

from __future__ import annotations

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.lens import distorts
from emu_perception.cameras.pinhole import k_of, p_of, Pinhole
from emu_perception.cameras.rectification import Rectification
from emu_perception.errors import InputError
import numpy as np

_SAME_VIEW_PX = 2.0  # At the border; registered depth is no better aligned.


def depth_in_view(depth: np.ndarray, camera: Camera, *, rectified: bool | None) -> np.ndarray:
    """
    Return depths as the camera sees them, by the colour image's own maps, nearest values.

    :param depth: float32 [H, W], of the colour image's size, metres; 0, NaN or +inf where there is
        none.
    :param rectified: as :func:`maps_of`.
    :raises InputError: if it is of another view than this camera's.
    """
    maps = maps_of(camera, rectified=rectified)
    return depth if maps is None else maps.depth(depth)


def labels_in_view(label: np.ndarray, camera: Camera, *, rectified: bool | None) -> np.ndarray:
    """Return labels, [H, W], likewise."""
    maps = maps_of(camera, rectified=rectified)
    return label if maps is None else maps.nearest(label)


def maps_of(camera: Camera, *, rectified: bool | None) -> Rectification | None:
    """
    Return what pixels aligned to the image that comes go through; None: they stay where they are.

    :param rectified: whether they are aligned to the rectified image, as depth_image_proc's
        depth_registered/image_rect is, or to the raw one (:func:`~.topics.says_rectified`); None:
        to the image that comes, whichever it is.
    :raises InputError: if they are of another view than this camera's.
    """
    maps, raw = camera.rectification, camera.raw_info
    if rectified is None:
        return maps
    if not rectified:
        if maps is None and not _is_raw(camera):
            raise InputError('it is aligned to the raw image, and the image that comes is '
                             'rectified: take the raw image, which is rectified here, or give '
                             'what is aligned to the rectified one')
        return maps
    if maps is not None and raw is not None and (
            maps.zoom > 1.0 or maps.view.pinhole != p_of(raw).in_image(raw)):
        raise InputError('it is aligned to the rectified image of P, and the image here is '
                         'rectified to another view: give what is aligned to the raw image, or '
                         'calibrate with alpha 0')
    if camera.distorted or maps is None and not _sees(camera, p_of(camera.info)):
        raise InputError('it is aligned to the rectified image, and the image here is not '
                         'rectified: give what is aligned to the raw image, or set rectify to '
                         'auto')
    return None


def _is_raw(camera: Camera) -> bool:
    """Tell whether an image that is not rectified here is as the lens gives it, or as good."""
    return camera.distorted or not distorts(camera.info) and _sees(camera, k_of(camera.info))


def _sees(camera: Camera, matrix: Pinhole) -> bool:
    """Tell whether a camera matrix, where it is set, shows all where this camera does."""
    if not matrix.is_set:
        return True
    other = matrix.in_image(camera.info)

    def off(size: int, focal: float, center: float, other_focal: float, other_center: float
            ) -> float:
        return max(abs((at - center) / focal * other_focal + other_center - at)
                   for at in (0.0, size - 1.0))
    return max(off(camera.width, camera.fx, camera.cx, other.fx, other.cx),
               off(camera.height, camera.fy, camera.cy, other.fy, other.cy)) <= _SAME_VIEW_PX
