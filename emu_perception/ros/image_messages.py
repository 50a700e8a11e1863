# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages to rgb arrays (see ``emu_perception.image_decoding``) and back."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emu_perception.image_decoding import (
    checked_rows,
    compressed_to_rgb,
    ENCODINGS,
    image_to_rgb,
)

__all__ = ['checked_rows', 'compressed_to_rgb', 'ENCODINGS', 'image_to_rgb', 'to_bytes',
           'to_image']


def to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Make an Image message with the input's header.

    :param pixels: C-contiguous HxW or HxWxC whose dtype and channels are those of ``encoding``.
    :param encoding: 'mono8', 'rgb8' or '32FC1'.
    """
    return Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                 is_bigendian=0, step=pixels.strides[0], data=to_bytes(pixels))


def to_bytes(pixels: np.ndarray) -> array.array[int]:
    """Return the bytes as rclpy takes them without a check of each: an array of type 'B'."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return data
