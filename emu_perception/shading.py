# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Are the corners of a camera's images dark: a hood that is too long, a lens that nobody corrects.

The network makes rooms of such pictures, and its scores have little against them. One picture may
have dark corners rightly, a recording of different ones hardly: the mean grey of each corner is
compared with that of the middle, and of the pictures' ratios the median counts.
"""

from __future__ import annotations

import cv2
import numpy as np

# So many pictures at least, in which the brightest of the four corners has less than so large a
# part of the middle's light (the median): see docs/model.md for what cameras have.
FEWEST, LEAST = 10, 0.5
# Of half the diagonal, from the middle of the image: inside is the middle, outside are corners.
_MIDDLE, _CORNER = 0.35, 0.8
_SMALL = (64, 48)  # Pixels, enough for means.


def corner_light(rgb: np.ndarray) -> np.ndarray:
    """
    Return how bright the corners of an image are beside its middle.

    :param rgb: uint8 [H, W, 3].
    :return: float [4], ratios of mean greys, each with 1 added: nothing is said of a black image.
    """
    height, width = rgb.shape[:2]
    grey = cv2.resize(rgb, _SMALL, interpolation=cv2.INTER_AREA).mean(axis=2)
    rows, columns = np.indices(grey.shape)
    down = ((rows + 0.5) / grey.shape[0] - 0.5) * height
    right = ((columns + 0.5) / grey.shape[1] - 0.5) * width
    far = np.hypot(down, right) / np.hypot(height / 2, width / 2)
    middle = grey[far < _MIDDLE].mean()
    corners = [grey[(far > _CORNER) & ((down > 0) == below) & ((right > 0) == on_right)].mean()
               for below in (False, True) for on_right in (False, True)]
    return (np.array(corners) + 1.0) / (middle + 1.0)


def dark_corners(lights: list[np.ndarray]) -> str:
    """
    Return what is wrong with a camera, for people; '' where nothing is, or too little is known.

    :param lights: :func:`corner_light` of pictures that differ.
    """
    if len(lights) < FEWEST:
        return ''
    brightest = float(np.median(lights, axis=0).max())
    if not brightest < LEAST:
        return ''
    return ('the corners of the images are dark, it seems: the brightest has '
            f"{100 * brightest:.0f} % of the middle's light, in the median of {len(lights)} "
            'images; look for a hood in view, a lens whose shading the driver does not correct, '
            "black edges of an image that was rectified, or a lamp of the robot's own")
