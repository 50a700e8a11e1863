# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The structure of a TIFF, of either size of offsets: which way up it is."""

from __future__ import annotations

import struct

from emu_perception.cameras.jpeg_bytes import orientation_in

_BIG = {b'II+\0': '<', b'MM\0+': '>'}
STARTS = (b'II*\0', b'MM\0*', *_BIG)
_ORIENTATION, _SHORT = 0x0112, 3


def orientation_of(data: bytes) -> int:
    """Return the orientation, 1 to 8; 1, upright, where there is none or it is damaged."""
    order = _BIG.get(data[:4])
    if order is None:
        return orientation_in(data)  # EXIF is a TIFF without a picture.
    try:
        (at,) = struct.unpack_from(f'{order}Q', data, 8)
        (count,) = struct.unpack_from(f'{order}Q', data, at)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(f'{order}HHQH', data, at + 8 + 20 * index)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    except (struct.error, OverflowError):  # Of an offset beyond what can be indexed.
        pass
    return 1
