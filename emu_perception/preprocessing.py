# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How an image becomes the network's input: its size there, the resampling, the focal length."""

from __future__ import annotations

import math

import cv2
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.rules import as_real
import numpy as np

MULTIPLE = 32
_ROUNDS_LITTLE = 13 * MULTIPLE  # A side of which half a multiple is below a twenty-fifth.


def network_size(image_size: tuple[int, int], trained_size: tuple[int, int],
                 most_off: float = math.inf) -> tuple[int, int]:
    """
    Return the (height, width) a network runs at for images of ``image_size``.

    Multiples of 32 with about as many pixels as in training and the aspect nearest to the
    image's; nothing is padded.

    :param most_off: share by which the aspect may be another, however many pixels that takes.
    """
    if image_size[0] * trained_size[1] == image_size[1] * trained_size[0]:
        return trained_size
    area = trained_size[0] * trained_size[1]
    aspect = image_size[1] / image_size[0]
    best, best_cost = trained_size, math.inf
    highest = 4 * max(trained_size)
    if most_off < math.inf:  # Of small sizes none may do; from there on rounding is below 4 %.
        highest = max(highest, _ROUNDS_LITTLE)
    for height in range(MULTIPLE, highest, MULTIPLE):
        width = max(MULTIPLE, MULTIPLE * round(height * aspect / MULTIPLE))
        if abs(width / height / aspect - 1) > most_off:
            continue
        stretch = abs(math.log(width / height / aspect))
        size = abs(math.log(width * height / area))
        # A stretched image is worse than one of another size: stretch weighs more.
        if 4.0 * stretch + size < best_cost:
            best, best_cost = (height, width), 4.0 * stretch + size
    return best


def resized_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """
    Return an image [H, W, 3] at ``size`` (height, width).

    Shrinking averages areas: bilinear sampling would alias. The one function that training,
    evaluation and the robot use.
    """
    if image.shape[:2] == tuple(size):
        return image
    shrinks = image.shape[0] * image.shape[1] > size[0] * size[1]
    return cv2.resize(image, size[::-1],
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def focal_scale(metadata: CheckpointMetadata, fx: float, width: int,
                network_width: int) -> float | None:
    """
    Return the factor from a network's depths to those of this camera.

    :param fx: focal length in pixels for images ``width`` pixels wide.
    :param network_width: width of the same image at the network.
    :return: None if the checkpoint does not know its training camera.
    :raises InputError: if fx is no number above 0.
    """
    number = as_real(fx)
    if number is None or not 0.0 < number < math.inf:
        raise InputError(f'fx is {fx!r}: give the focal length in pixels at the image size')
    intrinsics = metadata.intrinsics
    if intrinsics is None:
        return None
    trained_fx = intrinsics.fx * metadata.input_size[1] / intrinsics.width
    return number * network_width / width / trained_fx
