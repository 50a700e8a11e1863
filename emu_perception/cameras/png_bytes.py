# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The structure of a PNG: whether it is whole, which way up it is, and its values as stored."""

from __future__ import annotations

from collections.abc import Iterator
import struct
import zlib

import cv2
from emu_perception.cameras.jpeg_bytes import orientation_in
import numpy as np

START = b'\x89PNG'
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_HEADER, _END = b'IHDR', b'IEND'
_HEADER_BYTES = 33  # Of the signature and the first chunk.
_GREY, _PALETTE = 0, 3
_IMAGE_CHUNKS = (b'IDAT', _END)


def is_whole(data: bytes) -> bool:
    """Follow the chunks to the end: OpenCV 5 allocates what a damaged length says."""
    return any(name == _END for name, _ in _chunks(data))


def orientation_of(data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, where there is none."""
    for name, chunk in _chunks(data):
        if name == b'eXIf':
            return orientation_in(chunk[8:-4])
    return 1


def stored_values(data: bytes, *, palette: bool) -> np.ndarray | None:
    """
    Decode a PNG of one channel to the values that are stored in it.

    OpenCV stretches 1, 2 and 4 bits to 0..255 and gives a palette's colours.

    :param palette: whether the indices of a palette are the values: of labels, not of depth.
    :return: uint8 or uint16 [H, W]; None if it is none, is damaged or has several channels.
    """
    if not (data.startswith(_SIGNATURE) and len(data) >= _HEADER_BYTES and is_whole(data)):
        return None
    bits, colour = data[24], data[25]
    if colour != _GREY and not (palette and colour == _PALETTE):
        return None
    # As grey, and without what says colours, transparency or an animation.
    header = _HEADER + data[16:25] + bytes([_GREY]) + data[26:29]
    plain = b''.join([_SIGNATURE, struct.pack('>I', 13), header,
                      struct.pack('>I', zlib.crc32(header)),
                      *(chunk for name, chunk in _chunks(data) if name in _IMAGE_CHUNKS)])
    try:
        values = cv2.imdecode(np.frombuffer(plain, np.uint8),
                              cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    if values is None or values.ndim != 2:
        return None
    return values // np.uint8(255 // ((1 << bits) - 1)) if bits < 8 else values


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each whole chunk and all its bytes, up to the end."""
    at = len(_SIGNATURE) if len(data) >= _HEADER_BYTES else len(data)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], 'big')
        if end > len(data):
            return
        name = data[at + 4:at + 8]
        yield name, data[at:end]
        if name == _END:
            return
        at = end
