# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages of a bag as arrays: images as rgb, depth as metres, labels as class indices.

The messages are those that rosbags deserializes; no ROS is needed.
"""

from __future__ import annotations

from typing import Any

import cv2
from emu_perception.errors import InputError
from emu_perception.image_decoding import compressed_to_rgb, DamagedImage, image_to_rgb
import numpy as np
from training.data.dataset_folder import DatasetError

DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')
MILLIMETRE = 0.001  # 16UC1 depth, REP 118.
_COMPRESSED_DEPTH_HEADER = 12  # Bytes: int32 format, float32 A and B of the quantisation.
_JPEG_START, _JPEG_SCAN, _JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'

_LABELS = {'mono8': 'u1', '8UC1': 'u1', 'mono16': 'u2', '16UC1': 'u2'}


class DamagedMessage(DatasetError):
    """One message whose data cannot be decoded, where others of the topic may be whole."""


def is_compressed(message: Any) -> bool:
    """Tell a CompressedImage from an Image."""
    return hasattr(message, 'format')


def decode_image(message: Any) -> np.ndarray:
    """
    Return a colour or mono image as rgb uint8 [H, W, 3].

    :raises DatasetError: if the encoding is none of an image; DamagedMessage if data is missing.
    """
    try:
        return (compressed_to_rgb if is_compressed(message) else image_to_rgb)(message)
    except DamagedImage as error:
        raise DamagedMessage(str(error)) from error
    except InputError as error:
        raise DatasetError(f'{error}; depth goes with --depth-topic') from error


def decode_depth(message: Any) -> np.ndarray:
    """
    Return depth in metres, float32 [H, W], 0 or not finite where there is none.

    16UC1 is millimetres, 32FC1 metres; compressed: a PNG of 16 bits, or compressedDepth's header
    and PNG, where 32FC1 is kept as A / depth + B.

    :raises DatasetError: if the encoding is none of depth; DamagedMessage if data is missing.
    """
    if is_compressed(message):
        return _compressed_depth(message)
    if message.encoding not in DEPTH_ENCODINGS:
        raise DatasetError(f"encoding '{message.encoding}' is not depth, one of "
                           f'{", ".join(DEPTH_ENCODINGS)} is')
    if message.encoding == '32FC1':
        return _pixels(message, 'f4')
    return _pixels(message, 'u2') * np.float32(MILLIMETRE)


def decode_label(message: Any) -> np.ndarray:
    """
    Return class indices, uint8 or uint16 [H, W].

    :raises DatasetError: if the encoding is not one of a single channel; DamagedMessage if data is
        missing.
    """
    if is_compressed(message):
        label = _unpack(message, 0, cv2.IMREAD_UNCHANGED)
        if label.ndim != 2 or b'\x89PNG' not in bytes(message.data[:4]):
            raise DatasetError(f"format '{message.format}' of {label.shape} is not a label map, a "
                               'PNG of one channel is')
        return label
    if message.encoding not in _LABELS:
        raise DatasetError(f"encoding '{message.encoding}' is not a label map, one of "
                           f'{", ".join(_LABELS)} is')
    return _pixels(message, _LABELS[message.encoding])


def _compressed_depth(message: Any) -> np.ndarray:
    if 'rvl' in message.format.lower():
        raise DatasetError(f"format '{message.format}' is RVL, which is not supported: record "
                           'with compressedDepth.format png')
    header = _COMPRESSED_DEPTH_HEADER if 'compressedDepth' in message.format else 0
    stored = _unpack(message, header, cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise DatasetError(f"format '{message.format}' holds {stored.dtype} {stored.shape}, depth "
                           'is a PNG of one channel and 16 bits')
    if not message.format.startswith('32FC1'):
        return stored * np.float32(MILLIMETRE)
    if not header:
        raise DatasetError(f"format '{message.format}' has no quantisation: compressedDepth has")
    a, b = np.frombuffer(bytes(message.data[4:header]), '<f4').astype(np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(stored > 0, a / (stored - b), 0.0).astype(np.float32)


def _pixels(message: Any, kind: str) -> np.ndarray:
    """Return the pixels of an Image, contiguous and in native order, its row padding cut off."""
    dtype = np.dtype(('>' if message.is_bigendian else '<') + kind)
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * dtype.itemsize
    if not row or not height or step < row or len(message.data) < step * (height - 1) + row:
        raise DamagedMessage(f'{width}x{height} {message.encoding} with step {step} and '
                             f'{len(message.data)} bytes: too short')
    view = np.ndarray((height, width), dtype, bytes(message.data), strides=(step, dtype.itemsize))
    return np.ascontiguousarray(view, dtype.newbyteorder('='))


def _unpack(message: Any, header: int, flags: int) -> np.ndarray:
    data = np.asarray(message.data[header:], np.uint8)
    start = bytes(data[:2])
    # OpenCV fills what is missing of a cut JPEG with grey and says nothing.
    whole = start != _JPEG_START or (
        bytes(data).rfind(_JPEG_END) > bytes(data).rfind(_JPEG_SCAN))
    try:
        pixels = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION) if whole else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DamagedMessage(f"{len(data)} bytes of format '{message.format}' cannot be decoded")
    return pixels
