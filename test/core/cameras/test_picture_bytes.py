# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""JPEGs and PNGs as people have them: tails, missing ends, orientations, few bits, palettes."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any
import zlib

import cv2
from emu_perception.cameras import image_files, jpeg_bytes, png_bytes
from emu_perception.cameras.depth_decoding import decode_label
from emu_perception.cameras.image_decoding import compressed_to_rgb, DamagedImage, lacks_end
import numpy as np
import pytest

RGB = np.kron(np.random.default_rng(0).integers(0, 255, (15, 20, 3)),
              np.ones((16, 16, 1))).astype(np.uint8)
KINDS = {'baseline': [], 'progressive': [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
         'restarts': [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
         'own tables': [cv2.IMWRITE_JPEG_OPTIMIZE, 1]}


def jpeg(kind: str = 'baseline', grey: bool = False) -> bytes:
    """Return a JPEG of 320x240."""
    return cv2.imencode('.jpg', RGB[..., 0].copy() if grey else RGB, KINDS[kind])[1].tobytes()


def decode(data: bytes) -> np.ndarray:
    """Decode what a CompressedImage holds."""
    return compressed_to_rgb(SimpleNamespace(format='jpeg', data=np.frombuffer(data, np.uint8)))


def thumbnail(data: bytes) -> bytes:
    """Return a JPEG with a whole small one in a segment of its own, as EXIF has it."""
    small = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return data[:2] + b'\xff\xe1' + struct.pack('>H', 2 + len(small)) + small + data[2:]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tail', [
    jpeg()[:3000], b'....ftypmp42..\xff\xda..', b'\0' * 500, b'\xff\xd9', b'\xff\xd8\xff\xda'])
def test_bytes_behind_the_end_change_nothing(kind, tail):
    """A driver's next frame in the same buffer, a phone's film, padding."""
    data = jpeg(kind)
    assert jpeg_bytes.end_of(data + tail) == len(data)
    assert (decode(data + tail) == decode(data)).all()
    assert not lacks_end(data + tail)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('grey', [False, True])
def test_a_jpeg_without_end_is_used_only_if_all_of_it_decodes(kind, grey):
    data = jpeg(kind, grey)
    whole = decode(data)
    for missing in (1, 2):  # Of the end marker alone.
        assert (decode(data[:-missing]) == whole).all() and lacks_end(data[:-missing])
    for share in (0.97, 0.9, 2 / 3, 1 / 2, 1 / 3, 0.1):
        with pytest.raises(DamagedImage, match='truncated'):
            decode(data[:int(share * len(data))])


def test_a_cut_in_the_picture_is_found_behind_a_whole_thumbnail():
    data = thumbnail(jpeg())
    assert (decode(data) == decode(jpeg())).all()
    with pytest.raises(DamagedImage, match='truncated'):
        decode(data[:len(data) * 2 // 3])


def test_an_image_without_end_is_noted_once_and_not_for_each(caplog):
    from emu_perception.cameras import image_decoding
    image_decoding._note_lacking_end.cache_clear()
    for _ in range(3):
        decode(jpeg()[:-2])
    assert [record.getMessage() for record in caplog.records] == [
        'a JPEG has no end marker, but all of its picture: such images are used']


def exif(orientation: int, order: str = '<') -> bytes:
    """Return a block of EXIF with the tags ImageWidth and Orientation."""
    return ({'<': b'II*\0', '>': b'MM\0*'}[order] + struct.pack(f'{order}IH', 8, 2)
            + struct.pack(f'{order}HHIHH', 0x100, 3, 1, 320, 0)
            + struct.pack(f'{order}HHIHH', 0x112, 3, 1, orientation, 0))


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_the_orientation_is_read_where_opencv_reads_it(orientation, order):
    block = exif(orientation, order)
    segment = b'\xff\xe1' + struct.pack('>H', 8 + len(block)) + b'Exif\0\0' + block
    data = jpeg()[:2] + segment + jpeg()[2:]
    assert jpeg_bytes.orientation_of(data) == orientation
    upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    stored = cv2.imdecode(np.frombuffer(jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(upright, stored) == (orientation == 1)
    png = cv2.imencode('.png', RGB)[1].tobytes()
    assert png_bytes.orientation_of(png[:33] + chunk(b'eXIf', block) + png[33:]) == orientation
    for damaged in (block[:9], block[:20], b'XX' + block[2:], b''):
        assert jpeg_bytes.orientation_in(damaged) == 1


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_no_kind_of_file_is_turned_unseen(orientation, order):
    """OpenCV turns TIFFs, and from version 5 on WebPs: maps of their names would lie askew."""
    height, width = RGB.shape[:2]
    grey = np.ascontiguousarray(RGB[..., 0])
    shorts = [(0x100, width), (0x101, height), (0x102, 8), (0x103, 1), (0x106, 1),
              (0x112, orientation), (0x115, 1), (0x116, height)]
    longs = [(0x111, 8), (0x117, width * height)]  # Where the pixels are, and how many.
    tags = [(tag, struct.pack(f'{order}HHIHH', tag, 3, 1, value, 0)) for tag, value in shorts]
    tags += [(tag, struct.pack(f'{order}HHII', tag, 4, 1, value)) for tag, value in longs]
    tiff = ({'<': b'II*\0', '>': b'MM\0*'}[order]
            + struct.pack(f'{order}I', 8 + width * height) + grey.tobytes()
            + struct.pack(f'{order}H', len(tags)) + b''.join(dict(sorted(tags)).values())
            + b'\0' * 4)
    # With offsets of 64 bits: 16 bytes lie before the pixels.
    big = [(0x111, struct.pack(f'{order}HHQQ', 0x111, 16, 1, 16))]
    big += [(tag, struct.pack(f'{order}HHQH6x', tag, 3, 1, value)) for tag, value in shorts]
    big += [(0x117, struct.pack(f'{order}HHQQ', 0x117, 16, 1, width * height))]
    large = ({'<': b'II+\0', '>': b'MM\0+'}[order]
             + struct.pack(f'{order}HHQ', 8, 0, 16 + width * height) + grey.tobytes()
             + struct.pack(f'{order}Q', len(big)) + b''.join(dict(sorted(big)).values())
             + b'\0' * 8)
    for data in (tiff, large):
        assert image_files.orientation_of(data) == orientation
        assert np.array_equal(image_files.rgb_of(data)[..., 0], grey) == (orientation == 1)
    plain = cv2.imencode('.webp', RGB, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    block = exif(orientation, order)
    flags = struct.pack('<4sIB3x', b'VP8X', 10, 8)  # 8: there is EXIF.
    size = b''.join((side - 1).to_bytes(3, 'little') for side in (width, height))
    for prefix in (b'', b'Exif\0\0'):
        content = prefix + block + b'\0' * (len(block) % 2)
        body = b'WEBP' + flags + size + plain[12:] + struct.pack(
            '<4sI', b'EXIF', len(content)) + content
        webp = b'RIFF' + struct.pack('<I', len(body)) + body
        assert image_files.orientation_of(webp) == orientation
        turned = not np.array_equal(image_files.rgb_of(webp), image_files.rgb_of(plain))
        assert not turned or orientation != 1
    for damaged in (b'RIFF', b'RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff', tiff[:9],
                    large[:17], large[:8] + b'\xff' * 8):
        assert image_files.orientation_of(damaged) == 1


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def packed(values: np.ndarray, bits: int, colour: int, *more: bytes) -> bytes:
    """Return a PNG with these bits a pixel."""
    height, width = values.shape
    planes = np.unpackbits(values[..., None], axis=2)[..., 8 - bits:].reshape(height, -1)
    rows = b''.join(b'\0' + np.packbits(row).tobytes() for row in planes)
    return b''.join([b'\x89PNG\r\n\x1a\n', chunk(b'IHDR', struct.pack(
        '>IIBBBBB', width, height, bits, colour, 0, 0, 0)), *more,
        chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')])


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
@pytest.mark.parametrize('palette', [False, True])
def test_a_label_png_gives_the_index_that_is_stored(bits, palette):
    values = (np.arange(7 * 11).reshape(7, 11) % (1 << bits)).astype(np.uint8)
    colours = np.random.default_rng(1).integers(0, 255, 3 << bits).astype(np.uint8).tobytes()
    data = packed(values, bits, 3, chunk(b'PLTE', colours), chunk(b'tRNS', b'\0')) if palette \
        else packed(values, bits, 0, chunk(b'tRNS', b'\0\0'))
    found = png_bytes.stored_values(data, palette=True)
    assert found.dtype == np.uint8 and (found == values).all()
    message: Any = SimpleNamespace(format='mono8; png compressed ',
                                   data=np.frombuffer(data, np.uint8))
    assert (decode_label(message) == values).all()
    depth = png_bytes.stored_values(data, palette=False)
    assert (depth is None) if palette else (depth == values).all()


def test_what_is_no_map_of_one_channel_is_none():
    for data in (cv2.imencode('.png', RGB)[1].tobytes(), b'', b'no', jpeg(),
                 packed(np.ones((4, 4), np.uint8), 1, 0)[:-12]):
        assert png_bytes.stored_values(data, palette=True) is None
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    assert (png_bytes.stored_values(cv2.imencode('.png', deep)[1].tobytes(), palette=False)
            == deep).all()


@pytest.mark.parametrize('kind', KINDS)
def test_a_jpeg_that_says_it_is_huge_is_refused_before_room_is_made_for_it(kind, monkeypatch):
    data = thumbnail(jpeg(kind))
    assert jpeg_bytes.size_of(data) == (320, 240)
    header = struct.pack('>HH', 240, 320)
    huge = data[::-1].replace(header[::-1], struct.pack('>HH', 16000, 30000)[::-1], 1)[::-1]
    assert jpeg_bytes.size_of(huge) == (30000, 16000)

    def imdecode(*_: Any) -> None:
        raise AssertionError('gigabytes')
    monkeypatch.setattr(cv2, 'imdecode', imdecode)
    with pytest.raises(DamagedImage, match='30000x16000'):
        decode(huge)
