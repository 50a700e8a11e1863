# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depths and labels, aligned to the colour image that comes, brought into what becomes of it."""

from __future__ import annotations

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.pinhole import p_of
from emu_perception.cameras.rectification import Rectification
from emu_perception.errors import InputError
import numpy as np


def depth_in_view(depth: np.ndarray, camera: Camera, *, rectified: bool) -> np.ndarray:
    """
    Return depths as the camera sees them, by the colour image's own maps, nearest values.

    :param depth: float32 [H, W], of the colour image's size, metres; 0, NaN or +inf where there is
        none.
    :param rectified: as :func:`maps_of`.
    :raises InputError: if it is of another view than this camera's.
    """
    maps = maps_of(camera, rectified=rectified)
    return depth if maps is None else maps.depth(depth)


def labels_in_view(label: np.ndarray, camera: Camera, *, rectified: bool) -> np.ndarray:
    """Return labels, [H, W], likewise."""
    maps = maps_of(camera, rectified=rectified)
    return label if maps is None else maps.nearest(label)


def maps_of(camera: Camera, *, rectified: bool) -> Rectification | None:
    """
    Return what pixels aligned to the image that comes go through; None: they stay where they are.

    :param rectified: whether they are aligned to the rectified image, as depth_image_proc's
        depth_registered/image_rect is, and not to the image as it comes.
    :raises InputError: if they are of another view than this camera's.
    """
    maps, raw = camera.rectification, camera.raw_info
    if not rectified:
        return maps
    if maps is not None and raw is not None and (
            maps.zoom > 1.0 or maps.view.pinhole != p_of(raw).in_image(raw)):
        raise InputError('it is aligned to the rectified image of P, and the image here is '
                         'rectified to another view: give what is aligned to the raw image, or '
                         'calibrate with alpha 0')
    if camera.distorted:
        raise InputError('it is aligned to the rectified image, and the image here is not '
                         'rectified: give what is aligned to the raw image, or set rectify to '
                         'auto')
    return None
