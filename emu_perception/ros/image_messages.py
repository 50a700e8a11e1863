# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages to rgb arrays (see ``emu_perception.cameras.image_decoding``) and back."""

from __future__ import annotations

import array
from functools import lru_cache

from emu_perception.cameras.image_decoding import (
    checked_rows,
    compressed_to_rgb,
    ENCODINGS,
    image_to_rgb,
)
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

__all__ = ['checked_rows', 'compressed_to_rgb', 'ENCODINGS', 'image_to_rgb', 'to_bytes',
           'to_image', 'to_published_image']


def to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Make an Image message with the input's header.

    :param pixels: C-contiguous HxW or HxWxC whose dtype and channels are those of ``encoding``.
    :param encoding: 'mono8', 'rgb8', '16UC1' or '32FC1'.
    """
    image = _without_data(pixels, encoding, header)
    image.data = to_bytes(pixels)  # set afterwards: the constructor would copy it once more
    return image


def to_published_image(pixels: np.ndarray, encoding: str, header: Header) -> Image | bytes:
    """
    Return what a publisher takes for the same image: serialized, which is a quarter cheaper.

    rclpy serializes all but the pixels; they are the last field, as they lie in memory.
    """
    if not _pixels_come_last():
        return to_image(pixels, encoding, header)
    return _with_pixels(_without_data(pixels, encoding, header), pixels)


@lru_cache(maxsize=1)
def _pixels_come_last() -> bool:
    """Tell whether this middleware writes an Image as every one known does."""
    pixels = np.array([7, 8, 9], np.uint8)
    image = Image(height=1, width=3, encoding='mono8', step=3)
    try:
        # Read back and not compared: the padding between the fields is whatever was there before.
        found = deserialize_message(_with_pixels(image, pixels), Image)
    except Exception:  # its own kinds
        return False
    image.data = to_bytes(pixels)
    return bool(found == image)


def _with_pixels(image: Image, pixels: np.ndarray) -> bytes:
    # What is cut off is the length of the data, which is none yet.
    return b''.join((serialize_message(image)[:-4], pixels.nbytes.to_bytes(4, 'little'),
                     pixels.data.cast('B')))


def _without_data(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    return Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                 is_bigendian=0, step=pixels.strides[0])


def to_bytes(pixels: np.ndarray) -> array.array[int]:
    """Return the bytes as rclpy takes them without a check of each: an array of type 'B'."""
    data = array.array('B')
    if pixels.size:  # a memoryview of nothing cannot be cast
        data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return data
