# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera messages to rgb arrays, whoever read them: rclpy on a robot, rosbags from a recording.

Nothing in a message is believed: encoding, size, step, byte order and length are checked before a
byte is read, because a camera driver's mistake must end in one clear line and not in an exception
from deep inside NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
import logging
import struct
from types import SimpleNamespace
from typing import Any

import cv2
from emu_perception.cameras import jpeg_bytes, png_bytes
from emu_perception.errors import InputError, text_of
import numpy as np

_DEPTH_LIKE = ('16UC1', '16SC1', '32FC1', '64FC1')
_DEPTH_ADVICE = ('looks like a depth topic: a colour or mono camera topic is needed (node: remap '
                 '`image`; recording: --image-topic)')
_OTHER_TRANSPORTS = ('zstd', 'theora', 'h264', 'h265', 'hevc', 'libx26', 'av1', 'ffmpeg')
_MAX_PIXELS = 1 << 26
_FEWER_BITS = range(10, 13)  # Of cameras with 10 or 12 bits, at the lower end of mono16.
# Bits of either kind at the start, and after each restart marker that may be waited for.
_ANY_PIXELS = tuple(b''.join(marker + bytes(values) for marker in (
    b'', *(bytes([0xff, code]) for code in range(0xd0, 0xd8))))
    for values in (range(0x17, 0x70, 3), range(0xe9, 0x90, -3)))
LOGGER = logging.getLogger('emu_perception')


class DamagedImage(InputError):
    """One message whose data is broken, where others of its topic may be whole."""


@dataclass(frozen=True)
class _Encoding:
    """How a row of pixels lies in memory, and how it becomes rgb8."""

    to_rgb: Callable[[np.ndarray], np.ndarray]
    channels: int = 1
    sample_bytes: int = 1
    even_width: bool = False
    half_height_chroma: bool = False


def _color(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: cv2.cvtColor(np.ascontiguousarray(rows), code)


def _eight_bit(rows: np.ndarray) -> np.ndarray:
    # The scale cv_bridge uses: 65535 becomes 255.
    brightest = int(rows.max(initial=0))
    if brightest.bit_length() in _FEWER_BITS:
        _hint_at_fewer_bits()
    return cv2.convertScaleAbs(np.ascontiguousarray(rows), alpha=255.0 / 65535.0)


def _color16(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: cv2.cvtColor(_eight_bit(rows), code)


# OpenCV names a Bayer pattern after the second row's second and third pixel, ROS after the first
# row's first two: hence rggb <-> BG.
_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}
_UYVY = _Encoding(_color(cv2.COLOR_YUV2RGB_UYVY), 2, even_width=True)
_YUYV = _Encoding(_color(cv2.COLOR_YUV2RGB_YUY2), 2, even_width=True)
_BGR = _Encoding(_color(cv2.COLOR_BGR2RGB), 3)
_MONO = _Encoding(_color(cv2.COLOR_GRAY2RGB))

_ENCODINGS: dict[str, _Encoding] = {
    'rgb8': _Encoding(np.ascontiguousarray, 3),
    'bgr8': _BGR,
    # 8UC3 does not say its colour order; drivers that send it hand on OpenCV's, which is bgr.
    '8UC3': _BGR,
    'rgba8': _Encoding(_color(cv2.COLOR_RGBA2RGB), 4),
    'bgra8': _Encoding(_color(cv2.COLOR_BGRA2RGB), 4),
    'mono8': _MONO,
    '8UC1': _MONO,
    'mono16': _Encoding(_color16(cv2.COLOR_GRAY2RGB), 1, 2),
    'yuv422': _UYVY, 'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV, 'yuyv': _YUYV,
    'nv12': _Encoding(_color(cv2.COLOR_YUV2RGB_NV12), even_width=True, half_height_chroma=True),
    'nv21': _Encoding(_color(cv2.COLOR_YUV2RGB_NV21), even_width=True, half_height_chroma=True),
    **{f'bayer_{name}8': _Encoding(_color(code)) for name, code in _BAYER.items()},
    **{f'bayer_{name}16': _Encoding(_color16(code), 1, 2) for name, code in _BAYER.items()},
}
ENCODINGS = tuple(_ENCODINGS)


def checked_rows(message: Any) -> np.ndarray:
    """
    Validate an image message and return its pixels without copying.

    :param message: sensor_msgs/Image or anything with its fields.
    :return: uint8 or uint16 (of the message's byte order), HxW or HxWxC; a view with the
        message's step as row stride. NV12/NV21 have 3/2 H rows.
    :raises InputError: naming the field and its value; DamagedImage where encoding is fine.
    """
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        if message.encoding in _DEPTH_LIKE:
            raise InputError(f'encoding {message.encoding} {_DEPTH_ADVICE}')
        raise InputError(f'encoding {message.encoding[:40]!r} is not supported: have the camera '
                         f'send one of {", ".join(ENCODINGS)}')
    width, height, step = message.width, message.height, message.step
    _check_size(width, height)
    if encoding.even_width and width % 2 or encoding.half_height_chroma and height % 2:
        raise DamagedImage(f'image size {width}x{height} is odd: {message.encoding} needs even')
    row_bytes = width * encoding.channels * encoding.sample_bytes
    if step < row_bytes:
        raise DamagedImage(f'step {step} is too small: {width} pixels of {message.encoding} take '
                           f'{row_bytes} bytes')
    rows = height * 3 // 2 if encoding.half_height_chroma else height
    needed = step * (rows - 1) + row_bytes
    if len(message.data) < needed:
        raise DamagedImage(f'data is truncated: {len(message.data)} bytes instead of '
                           f'{step * rows} for {width}x{height} {message.encoding}, step {step}')
    order = '>' if message.is_bigendian else '<'
    dtype = np.dtype(np.uint8 if encoding.sample_bytes == 1 else f'{order}u2')
    shape: tuple[int, ...] = (rows, width)
    strides: tuple[int, ...] = (step, encoding.channels * encoding.sample_bytes)
    if encoding.channels > 1:
        shape, strides = (*shape, encoding.channels), (*strides, encoding.sample_bytes)
    view = np.ndarray(shape, dtype, buffer=memoryview(message.data), strides=strides)
    return view if dtype.isnative else view.astype(dtype.newbyteorder('='))


def image_to_rgb(message: Any) -> np.ndarray:
    """
    Return the image as contiguous rgb uint8 HxWx3, possibly a view of the message's data.

    :raises InputError: if the message cannot be used.
    """
    rows = checked_rows(message)
    try:
        return _ENCODINGS[message.encoding].to_rgb(rows)
    except cv2.error as error:
        raise DamagedImage(f'{message.width}x{message.height} {message.encoding} cannot be '
                           f'converted: {text_of(error)}') from error


def compressed_to_rgb(message: Any) -> np.ndarray:
    """
    Decode a JPEG, PNG or whatever else OpenCV reads to contiguous rgb uint8 HxWx3.

    :raises InputError: if the data is no image, is cut off, or holds depth.
    """
    if message.format.startswith(_DEPTH_LIKE) or 'compressedDepth' in message.format:
        raise InputError(f'format {message.format!r} {_DEPTH_ADVICE}')
    if message.format.lower().startswith(_OTHER_TRANSPORTS):
        raise InputError(f'format {message.format!r} cannot be decoded: of another transport than '
                         'compressed: run `ros2 run image_transport republish`, or have the '
                         'camera send raw or compressed images')
    data = bytes(message.data)
    told = told_size(data)
    if told is not None:  # Before OpenCV makes room for it.
        _check_size(*told)
    # `<what the image was>; <jpeg, png> compressed <what was packed>`, of image_transport.
    encoding, _, rest = (part.strip() for part in message.format.partition(';'))
    stored = encoding.startswith('bayer_') or encoding == 'mono16'
    # An EXIF orientation would turn the picture against its camera_info.
    pixels = decoded(data, cv2.IMREAD_IGNORE_ORIENTATION | (
        cv2.IMREAD_UNCHANGED if stored else cv2.IMREAD_COLOR),
        f'compressed image of {len(data)} bytes, format {message.format!r},')
    _check_size(pixels.shape[1], pixels.shape[0])
    if stored and pixels.ndim == 2:
        bits = 8 * pixels.dtype.itemsize
        name = f'mono{bits}' if encoding == 'mono16' else f'{encoding.rstrip("0123456789")}{bits}'
        if name not in _ENCODINGS:
            raise InputError(f'format {message.format!r} is not supported: have the camera send '
                             f'one of {", ".join(ENCODINGS)}')
        return _ENCODINGS[name].to_rgb(pixels)
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:  # Said to be a mosaic, and is none.
        return compressed_to_rgb(SimpleNamespace(format=rest, data=data))
    # Packed as it was, in an order that OpenCV, and viewers, take for the other one.
    return pixels if 'compressed rgb' in rest else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def told_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as the head of a PNG or JPEG says it; None where there is none."""
    if data.startswith(png_bytes.START):
        return struct.unpack('>II', data[16:24]) if len(data) >= 24 else None
    return jpeg_bytes.size_of(data) if data.startswith(jpeg_bytes.START) else None


def decoded(data: bytes, flags: int, what: str) -> np.ndarray:
    """
    Decode a JPEG, PNG or whatever else OpenCV reads.

    :param flags: of cv2.imdecode.
    :param what: what this is, for the error.
    :raises DamagedImage: if it is no image or is cut off.
    """
    whole = _whole(data, flags)
    try:
        # Of damaged data libjpeg and libpng complain on stderr themselves, a line an image: OpenCV
        # has no switch for it (its log level does not reach them), and to turn the process's
        # stderr aside while one thread decodes would swallow what the others say.
        pixels = cv2.imdecode(np.frombuffer(whole, np.uint8), flags)
    except cv2.error as error:
        raise DamagedImage(f'{what} cannot be decoded: {text_of(error)}') from error
    if pixels is None:
        raise DamagedImage(f'{what} cannot be decoded: truncated, or no image that OpenCV reads')
    return pixels


def lacks_end(data: bytes) -> bool:
    """Tell whether this is a JPEG without its end marker, be its picture whole or not."""
    return data.startswith(jpeg_bytes.START) and jpeg_bytes.end_of(data) is None


def _whole(data: bytes, flags: int) -> bytes:
    """
    Return what is to be decoded: without what lies behind a JPEG's end, with an end it lacks.

    OpenCV fills what is missing of a cut picture with grey and says nothing.

    :raises DamagedImage: if it is cut off.
    """
    if not data:
        problem = 'no data'
    elif data.startswith(jpeg_bytes.START):
        end = jpeg_bytes.end_of(data)
        if end is not None:
            return data if end == len(data) else data[:end]
        if _decodes_to_its_end(data, flags):
            _note_lacking_end()
            return data + jpeg_bytes.END
        if not jpeg_bytes.has_scan(data) and data.endswith(jpeg_bytes.END):
            return data  # Not cut, but damaged before its picture: for OpenCV to say.
        problem = 'a JPEG without end'
    elif data.startswith(png_bytes.START) and not png_bytes.is_whole(data):
        problem = 'a PNG without end'
    else:
        return data
    raise DamagedImage(f'compressed image of {len(data)} bytes is truncated: {problem}')


def _decodes_to_its_end(data: bytes, flags: int) -> bool:
    """Tell whether nothing but the end marker is missing of a JPEG that has none."""
    if not jpeg_bytes.has_all_scans(data):
        return False
    data = data.removesuffix(b'\xff')  # Half of the marker.
    # What follows a picture that is complete is passed over; of one that is not, it is pixels.
    plain, *others = (cv2.imdecode(np.frombuffer(data + tail + jpeg_bytes.END, np.uint8), flags)
                      for tail in (b'', *_ANY_PIXELS))
    return plain is not None and all(
        other is not None and np.array_equal(plain, other) for other in others)


@lru_cache(maxsize=1)  # Once.
def _hint_at_fewer_bits() -> None:
    LOGGER.warning('a 16-bit image uses %d to %d of its bits, so that it is all but black: is the '
                   "camera's own range smaller? Have its driver shift it to 16 bits, or send 8",
                   _FEWER_BITS.start, _FEWER_BITS.stop - 1)


@lru_cache(maxsize=1)  # Once: of a camera's stream it is true of every image.
def _note_lacking_end() -> None:
    LOGGER.warning('a JPEG has no end marker, but all of its picture: such images are used')


def _check_size(width: int, height: int) -> None:
    if not (width and height) or width * height > _MAX_PIXELS:
        raise DamagedImage(f'image size {width}x{height} (width x height) cannot be used')
