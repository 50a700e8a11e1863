# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Decompression as recordings need it: what is cut gives its beginning."""

from __future__ import annotations

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


def decompressed(data: bytes, method: str) -> bytes:
    """
    Decompress a stream.

    :param method: 'zstd', 'lz4' or '', as MCAP names them.
    :raises Exception: of the library's own kinds, where the data are damaged.
    """
    if method == 'zstd':
        return _zstd(data)
    if method == 'lz4':
        from lz4.frame import LZ4FrameDecompressor
        return bytes(LZ4FrameDecompressor().decompress(data))
    if method:
        raise ValueError(f'compression {method!r} is not known')
    return data


def _zstd(data: bytes) -> bytes:
    # Whichever rosbags has brought, by its version and Python's.
    try:
        from backports.zstd import ZstdDecompressor
        return bytes(ZstdDecompressor().decompress(data))
    except ImportError:
        pass
    try:
        from compression.zstd import ZstdDecompressor as Own
        return bytes(Own().decompress(data))
    except ImportError:
        from zstandard import ZstdDecompressor as Older
        return bytes(Older().decompressobj().decompress(data))
