# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Everything one camera message can get wrong, and what has to come of it."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
import struct
from typing import Any
import zlib

import cv2
from emu_perception.ros.bridge_probe import probe_image
from emu_perception.ros.image_messages import ENCODINGS, to_bytes
from live_node import HEIGHT, WIDTH
from node_bench import rgb_image
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from test_image_messages import opencv_rgb

# All of sensor_msgs/image_encodings.hpp, and names that are in no list.
_LISTED = [
    *(f'{order}{bits}' for order in ('rgb', 'rgba', 'bgr', 'bgra', 'mono') for bits in (8, 16)),
    *(f'{kind}C{channels}' for kind in ('8U', '8S', '16U', '16S', '32S', '32F', '64F')
      for channels in (1, 2, 3, 4)),
    *(f'bayer_{order}{bits}' for order in ('rggb', 'bggr', 'gbrg', 'grbg') for bits in (8, 16)),
    'yuv422', 'yuv422_yuy2', 'uyvy', 'yuyv', 'nv12', 'nv21', 'nv24']
_UNLISTED = ['', 'RGB8', 'rgb8 ', 'jpeg', '8UC0', 'sRGB\nü']
_DEPTH = ('16UC1', '16SC1', '32FC1', '64FC1')


@dataclass(frozen=True)
class Case:
    """
    One message and what has to come of it.

    :ivar sent: the message in words.
    :ivar said: words of the diagnosis where the image has to be dropped; empty: processed.
    :ivar rgb: the picture the network has to see; None where any will do.
    :ivar transport: how the node reads images.
    """

    name: str
    sent: str
    message: Callable[[], Image | CompressedImage]
    said: str = ''
    rgb: Callable[[], np.ndarray] | None = None
    transport: str = 'raw'


def _changed(encoding: str = 'rgb8', **fields: Any) -> Callable[[], Image]:
    def make() -> Image:
        message = probe_image(encoding, WIDTH, HEIGHT, padding=0)
        for name, value in fields.items():
            setattr(message, name, value)
        return message
    return make


def _opencv(make: Callable[[], Image]) -> Callable[[], np.ndarray]:
    return lambda: opencv_rgb(make())


def _without_last_padding() -> Image:
    message = probe_image('rgb8', WIDTH, HEIGHT, padding=10)
    message.data = message.data[:-10]
    return message


def _resized_data(encoding: str, change: int) -> Callable[[], Image]:
    def make() -> Image:
        message = probe_image(encoding, WIDTH, HEIGHT, padding=0)
        data = bytes(message.data)
        message.data = array.array('B', data[:change] if change < 0 else data + bytes(change))
        return message
    return make


def _sized(width: int, height: int, encoding: str = 'rgb8', *, data: bool = True
           ) -> Callable[[], Image]:
    def make() -> Image:
        if data:
            return probe_image(encoding, width, height, padding=0)
        return Image(width=width, height=height, encoding=encoding, step=1,
                     data=array.array('B', bytes(16)))
    return make


def _floats() -> Image:
    values = np.ones((HEIGHT, WIDTH), np.float32)
    values[::2], values[1::2, ::3], values[0, 0] = np.nan, np.inf, -np.inf
    return Image(width=WIDTH, height=HEIGHT, encoding='32FC1', step=4 * WIDTH,
                 data=to_bytes(values))


def _big_endian(encoding: str) -> Callable[[], Image]:
    def make() -> Image:
        message = probe_image(encoding, WIDTH, HEIGHT, padding=4)
        message.data = to_bytes(np.frombuffer(message.data, np.uint16).byteswap())
        message.is_bigendian = 1
        return message
    return make


def _headed(**fields: Any) -> Callable[[], Image]:
    return lambda: rgb_image(WIDTH, HEIGHT, **{'sec': 5, **fields})


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a smooth bgr picture."""
    return cv2.resize(np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8),
                      (width, height), interpolation=cv2.INTER_CUBIC)


def _encoded(suffix: str, bgr: np.ndarray | None = None) -> bytes:
    data: bytes = cv2.imencode(suffix, picture() if bgr is None else bgr)[1].tobytes()
    return data


def _compressed(form: str, data: Callable[[], bytes]) -> Callable[[], CompressedImage]:
    return lambda: CompressedImage(format=form, data=array.array('B', data()))


def _decoded(data: Callable[[], bytes]) -> Callable[[], np.ndarray]:
    return lambda: cv2.imdecode(np.frombuffer(data(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def _damaged(data: bytes, begin: float, end: float) -> bytes:
    first, last = int(len(data) * begin), int(len(data) * end)
    return data[:first] + b'\x55' * (last - first) + data[last:]


def _long_chunk() -> bytes:
    data = _encoded('.png')
    at = data.index(b'IDAT') - 4
    return data[:at] + struct.pack('>I', 288 << 20) + data[at + 4:]


def _bomb(side: int) -> bytes:
    """Return a PNG of 200 bytes that says it holds so many pixels each way."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack('>I', len(body)) + kind + body + struct.pack(
            '>I', zlib.crc32(kind + body))
    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(bytes(90001))) + chunk(b'IEND', b''))


def _encodings() -> list[Case]:
    table = []
    for encoding in ENCODINGS:
        make = lambda encoding=encoding: probe_image(encoding, WIDTH, HEIGHT, padding=10)  # noqa: E731, E501
        table.append(Case(f'encoding {encoding}', f'{encoding}, each row padded by 10 bytes', make,
                          rgb=_opencv(make)))
    for encoding in [*_LISTED, *_UNLISTED]:
        if encoding not in ENCODINGS:
            said = 'looks like a depth topic' if encoding in _DEPTH else 'is not supported'
            table.append(Case(f'encoding {encoding!r}', 'an encoding the node does not take',
                              _changed(encoding=encoding, step=32 * WIDTH,
                                       data=array.array('B', bytes(32 * WIDTH * HEIGHT))), said))
    return table


def _raw() -> list[Case]:
    plain = _changed()
    return [
        Case('encoding of 10000 letters', 'an encoding of absurd length',
             _changed(encoding='x' * 10000), 'is not supported'),
        Case('NaN and inf', '32FC1 with NaN, inf and -inf', _floats, 'looks like a depth topic'),
        Case('step 0', 'rgb8, step 0', _changed(step=0), 'step 0 is too small'),
        Case('step one short', 'rgb8, step one byte too small', _changed(step=3 * WIDTH - 1),
             'is too small'),
        Case('step of mono8', 'rgb8 with the step of mono8', _changed(step=WIDTH), 'is too small'),
        Case('step larger than the data', 'rgb8, step 4294967295', _changed(step=2**32 - 1),
             'truncated'),
        Case('step exact', 'rgb8 without padding', plain, rgb=_opencv(plain)),
        Case('last row without padding', 'padded rows, but the last is not',
             _without_last_padding, rgb=lambda: opencv_rgb(
                 probe_image('rgb8', WIDTH, HEIGHT, padding=10))),
        Case('no data', 'rgb8 with an empty data field', _changed(data=array.array('B')),
             'truncated: 0 bytes'),
        Case('half the data', 'rgb8 cut in the middle',
             _resized_data('rgb8', -3 * WIDTH * HEIGHT // 2), 'truncated'),
        Case('one byte short', 'rgb8 without its last byte', _resized_data('rgb8', -1),
             'truncated'),
        Case('chroma missing', 'nv12 with the rows of luma alone',
             _resized_data('nv12', -WIDTH * HEIGHT // 2), 'truncated'),
        Case('one byte too many', 'rgb8 and one more byte', _resized_data('rgb8', 1),
             rgb=_opencv(plain)),
        Case('twice the data', 'rgb8 and as many zeros', _resized_data('rgb8', 3 * WIDTH * HEIGHT),
             rgb=_opencv(plain)),
        Case('0x0', 'no pixels', _sized(0, 0, data=False), 'image size 0x0'),
        Case('0 wide', '0x48', _sized(0, HEIGHT, data=False), 'image size 0x48'),
        Case('0 high', '64x0', _sized(WIDTH, 0, data=False), 'image size 64x0'),
        Case('1x1', 'one pixel', _sized(1, 1), 'at least 32'),
        Case('31x31', 'one pixel less than the network takes', _sized(31, 31), 'at least 32'),
        Case('32x32', 'the smallest image there is', _sized(32, 32),
             rgb=_opencv(_sized(32, 32))),
        Case('10000x10', 'a line camera', _sized(10000, 10), 'at least 32'),
        Case('10x10000', 'a line camera on its side', _sized(10, 10000), 'at least 32'),
        Case('10000x40', 'a panorama too long', _sized(10000, 40, 'mono8'), 'more than 6 times'),
        Case('4294967295x4294967295', 'the largest size a message can say',
             _sized(2**32 - 1, 2**32 - 1, data=False), 'cannot be used'),
        Case('odd width of yuyv', 'yuyv 63x48', _changed('yuyv', width=63), 'needs even'),
        Case('odd height of nv12', 'nv12 64x47', _changed('nv12', height=47), 'needs even'),
        Case('1x1 Bayer', 'a Bayer pattern without a whole cell', _sized(1, 1, 'bayer_rggb8'),
             '1x1'),
        *(Case(f'big-endian {encoding}', f'{encoding}, is_bigendian 1, padded',
               _big_endian(encoding),
               rgb=lambda encoding=encoding: opencv_rgb(  # type: ignore[misc]
                   probe_image(encoding, WIDTH, HEIGHT, padding=4)))
          for encoding in ('mono16', 'bayer_rggb16')),
        Case('big-endian rgb8', 'rgb8, is_bigendian 1, which means nothing for bytes',
             _changed(is_bigendian=1), rgb=_opencv(plain)),
        Case('is_bigendian 255', 'mono8, is_bigendian 255', _changed('mono8', is_bigendian=255),
             rgb=_opencv(_changed('mono8'))),
        Case('frame_id empty', "frame_id ''", _headed(frame_id='')),
        Case('frame_id odd', 'a frame_id of 10000 letters with a line break',
             _headed(frame_id='ü\n' * 5000), 'the one before of'),
        Case('stamp before 1970', 'stamp sec -5', _headed(sec=-5)),
        Case('stamp not normal', 'stamp nanosec 4294967295', _headed(nanosec=2**32 - 1)),
        Case('stamp of 2038', 'stamp sec 2147483647', _headed(sec=2**31 - 1)),
        Case('default message', 'Image() as it is made', Image, 'is not supported'),
    ]


def _compressed_cases() -> list[Case]:
    table = []

    def compressed(name: str, sent: str, form: str, data: Callable[[], bytes], said: str = '',
                   *, exact: bool = True) -> None:
        table.append(Case(name, sent, _compressed(form, data), said,
                          None if said or not exact else _decoded(data), 'compressed'))
    gray = picture()[..., 0]
    wide = (np.ascontiguousarray(gray).astype(np.uint16) * 257)
    alpha = np.dstack([picture(), gray])
    compressed('JPEG', 'a good JPEG', 'rgb8; jpeg compressed bgr8', lambda: _encoded('.jpg'))
    compressed('PNG', 'a good PNG', 'png', lambda: _encoded('.png'))
    compressed('grey JPEG', 'a good JPEG of one channel', 'mono8; jpeg compressed ',
               lambda: _encoded('.jpg', gray))
    compressed('16-bit PNG', 'a good PNG of 16 bits', 'mono16; png compressed ',
               lambda: _encoded('.png', wide))
    compressed('PNG with alpha', 'a good PNG of four channels', 'png',
               lambda: _encoded('.png', alpha))
    compressed('format empty', "a good JPEG, format ''", '', lambda: _encoded('.jpg'))
    compressed('format of another', 'a good PNG that says jpeg', 'jpeg', lambda: _encoded('.png'))
    compressed('format unknown', "bytes of no kind, format 'h264'", 'h264',
               lambda: bytes(range(256)) * 8, 'cannot be decoded')
    compressed('compressed depth', '16UC1; compressedDepth png', '16UC1; compressedDepth png',
               lambda: _encoded('.png', wide), 'looks like a depth topic')
    compressed('compressed no data', 'jpeg without a byte', 'jpeg', bytes, 'no data')
    compressed('JPEG of two bytes', 'a JPEG that ends after its marker', 'jpeg',
               lambda: b'\xff\xd8', 'truncated')
    compressed('JPEG cut', 'the first half of a JPEG', 'jpeg',
               lambda: _encoded('.jpg')[:len(_encoded('.jpg')) // 2], 'truncated')
    compressed('JPEG head damaged', 'a JPEG with its tables overwritten', 'jpeg',
               lambda: _damaged(_encoded('.jpg'), 0.02, 0.3), 'cannot be decoded')
    compressed('JPEG body damaged', 'a JPEG with a tenth of its scan overwritten', 'jpeg',
               lambda: _damaged(_encoded('.jpg'), 0.8, 0.9), exact=False)
    compressed('PNG cut', 'the first half of a PNG', 'png',
               lambda: _encoded('.png')[:len(_encoded('.png')) // 2], 'truncated')
    compressed('PNG damaged', 'a PNG with a fifth of its pixels overwritten', 'png',
               lambda: _damaged(_encoded('.png'), 0.4, 0.6), 'cannot be decoded')
    compressed('PNG with a wrong length', 'a PNG of 6707 bytes whose pixels say they are 288 MB',
               'png', _long_chunk, 'is truncated')
    compressed('PNG of 30000x30000', '200 bytes that say they are 30000x30000', 'png',
               lambda: _bomb(30000), 'image')
    compressed('JPEG of 1x1', 'one pixel', 'jpeg', lambda: _encoded('.jpg', picture(1, 1)),
               'at least 32')
    compressed('PNG of 8200x8200', 'a small PNG that says it has more pixels than a raw image may',
               'png', lambda: _bomb(8200), 'cannot be used')
    return table


CASES = (*_encodings(), *_raw(), *_compressed_cases())
