# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The structure of a JPEG: where it ends, whether all of it is there, and which way up it is."""

from __future__ import annotations

from collections.abc import Iterator
import re
import struct

START, END = b'\xff\xd8', b'\xff\xd9'
# In a scan 0xFF is followed by 0 or by one of eight restart markers; any other marker ends it.
_MARKER = re.compile(rb'\xff+([^\x00\xff\xd0-\xd7])', re.DOTALL)
_SCAN, _END, _APP1 = 0xda, 0xd9, 0xe1
_FRAMES = {*range(0xc0, 0xd0)} - {0xc4, 0xc8, 0xcc}  # Without DHT, JPG and DAC.
_COEFFICIENTS = 64
_ORIENTATION, _SHORT = 0x0112, 3


def end_of(data: bytes) -> int | None:
    """
    Return how many bytes the picture has; None where its end is not there.

    Segments are stepped over by their lengths, so that neither a thumbnail's end counts nor what
    lies behind the picture: a driver's next frame, a phone's film.
    """
    for marker, start, _ in _segments(data):
        if marker == _END:
            return start
    return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as the picture's header says it; None where there is no header."""
    for marker, _, body in _segments(data):
        if marker in _FRAMES and len(body) >= 5:
            return int.from_bytes(body[3:5], 'big'), int.from_bytes(body[1:3], 'big')
        if marker == _SCAN:
            break
    return None


def has_scan(data: bytes) -> bool:
    """Tell whether the segments lead to the picture itself."""
    return any(marker == _SCAN for marker, _, _ in _segments(data))


def has_all_scans(data: bytes) -> bool:
    """
    Tell whether the scans that are there, the last one perhaps cut, hold every coefficient.

    Of a progressive picture each scan refines the ones before: cut between two of them it is
    blurred, and says nothing of it.
    """
    missing: dict[int, set[int]] = {}
    for marker, _, body in _segments(data):
        if marker in _FRAMES and len(body) >= 6:
            missing = {body[6 + 3 * index]: {*range(_COEFFICIENTS)}
                       for index in range(body[5]) if 6 + 3 * index < len(body)}
        elif marker == _SCAN and body and len(body) >= 4 + 2 * body[0]:
            first, last, bits = body[1 + 2 * body[0]:4 + 2 * body[0]]
            if not bits & 15:  # No bit is left for a later scan.
                for index in range(body[0]):
                    missing.get(body[1 + 2 * index], set()).difference_update(
                        range(first, last + 1))
    return bool(missing) and not any(missing.values())


def orientation_of(data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, where there is none."""
    for marker, _, body in _segments(data):
        if marker == _APP1 and body.startswith(b'Exif\0\0'):
            return orientation_in(body[6:])
        if marker == _SCAN:
            break
    return 1


def orientation_in(exif: bytes) -> int:
    """Return the orientation of a block of EXIF, 1 where it has none or is damaged."""
    order = {b'II*\0': '<', b'MM\0*': '>'}.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f'{order}I', exif, 4)
        (count,) = struct.unpack_from(f'{order}H', exif, at)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(f'{order}HHIH', exif, at + 2 + 12 * index)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each marker, where what follows its segment begins, and the segment's content."""
    at = len(START)
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found.group(1)[0], found.end()
        if marker == _END:
            yield marker, at, b''
            return
        length = int.from_bytes(data[at:at + 2], 'big')
        if at + length > len(data) or length < 2:
            return
        body = data[at + 2:at + length]
        at += length
        yield marker, at, body
