# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The structure of a WebP: which way up it is, which OpenCV sees to from version 5 on."""

from __future__ import annotations

from emu_perception.cameras.jpeg_bytes import orientation_in

START = b'RIFF'
_FORM, _HEADER_BYTES = b'WEBP', 12
_EXIF, _PREFIX = b'EXIF', b'Exif\0\0'  # The prefix is a JPEG's; some programs write it here too.


def orientation_of(data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, where there is none."""
    at = _HEADER_BYTES if data[8:_HEADER_BYTES] == _FORM else len(data)
    while at + 8 <= len(data):
        name, length = data[at:at + 4], int.from_bytes(data[at + 4:at + 8], 'little')
        if name == _EXIF:
            return orientation_in(data[at + 8:at + 8 + length].removeprefix(_PREFIX))
        at += 8 + length + length % 2  # Chunks begin at even places.
    return 1
