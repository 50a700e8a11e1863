# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of depth cameras and of simulators as arrays: metres, and class indices."""

from __future__ import annotations

from typing import Any

import cv2
from emu_perception.cameras import png_bytes
from emu_perception.cameras.image_decoding import DamagedImage, decoded
from emu_perception.errors import InputError
import numpy as np

DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')
MILLIMETRE = 0.001  # 16UC1 depth, REP 118.
_SATURATED = np.iinfo(np.uint16).max
_COMPRESSED_DEPTH_HEADER = 12  # Bytes: int32 format, float32 A and B of the quantisation.
_LABELS = {'mono8': 'u1', '8UC1': 'u1', 'mono16': 'u2', '16UC1': 'u2'}


def decode_depth(message: Any) -> np.ndarray:
    """
    Return depth in metres, float32 [H, W], 0 or not finite where there is none.

    16UC1 is millimetres (the largest number is none, see ``metres_of``), 32FC1 metres; compressed:
    a PNG of 16 bits, or compressedDepth's header and PNG, where 32FC1 is kept as A / depth + B.

    :param message: sensor_msgs/Image or CompressedImage, or anything with its fields.
    :raises InputError: if the encoding is none of depth; DamagedImage if data is missing.
    """
    if _is_compressed(message):
        return _compressed_depth(message)
    if message.encoding not in DEPTH_ENCODINGS:
        raise InputError(f"encoding '{message.encoding}' is not depth, one of "
                         f'{", ".join(DEPTH_ENCODINGS)} is')
    if message.encoding == '32FC1':
        return _pixels(message, 'f4')
    return metres_of(_pixels(message, 'u2'))


def metres_of(stored: np.ndarray) -> np.ndarray:
    """
    Return metres, float32, of millimetres as they are stored, uint16; 0 where there are none.

    The largest number is what drivers write where the sensor saw nothing, or too far to say: taken
    for 65.535 m a pane of glass would be a free way.
    """
    return np.where(stored < _SATURATED, stored, np.uint16(0)) * np.float32(MILLIMETRE)


def decode_label(message: Any) -> np.ndarray:
    """
    Return class indices, uint8 or uint16 [H, W].

    :param message: as for :func:`decode_depth`.
    :raises InputError: if the encoding is not one of a single channel; DamagedImage if data is
        missing.
    """
    if _is_compressed(message):
        label = _unpack(message, 0)
        # By its values as they are stored, be they of one bit or of a palette.
        stored = png_bytes.stored_values(bytes(message.data), palette=True)
        if stored is None:
            raise InputError(f"format '{message.format}' of {label.shape} is not a label map, a "
                             'PNG of one channel is')
        return stored
    if message.encoding not in _LABELS:
        raise InputError(f"encoding '{message.encoding}' is not a label map, one of "
                         f'{", ".join(_LABELS)} is')
    return _pixels(message, _LABELS[message.encoding])


def _is_compressed(message: Any) -> bool:
    return hasattr(message, 'format')


def _compressed_depth(message: Any) -> np.ndarray:
    if 'rvl' in message.format.lower():
        raise InputError(f"format '{message.format}' is RVL, which is not supported: record "
                         'with compressedDepth.format png')
    header = _COMPRESSED_DEPTH_HEADER if 'compressedDepth' in message.format else 0
    stored = _unpack(message, header)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise InputError(f"format '{message.format}' holds {stored.dtype} {stored.shape}, depth "
                         'is a PNG of one channel and 16 bits')
    if not message.format.startswith('32FC1'):
        return metres_of(stored)
    if not header:
        raise InputError(f"format '{message.format}' has no quantisation: compressedDepth has")
    a, b = np.frombuffer(bytes(message.data[4:header]), '<f4').astype(np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(stored > 0, a / (stored - b), 0.0).astype(np.float32)


def _pixels(message: Any, kind: str) -> np.ndarray:
    """Return the pixels of an Image, contiguous and in native order, its row padding cut off."""
    dtype = np.dtype(('>' if message.is_bigendian else '<') + kind)
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * dtype.itemsize
    if not row or not height or step < row or len(message.data) < step * (height - 1) + row:
        raise DamagedImage(f'{width}x{height} {message.encoding} with step {step} and '
                           f'{len(message.data)} bytes: too short')
    view = np.ndarray((height, width), dtype, bytes(message.data), strides=(step, dtype.itemsize))
    return np.ascontiguousarray(view, dtype.newbyteorder('='))


def _unpack(message: Any, header: int) -> np.ndarray:
    data = bytes(message.data[header:])
    return decoded(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION,
                   f"{len(data)} bytes of format '{message.format}'")
