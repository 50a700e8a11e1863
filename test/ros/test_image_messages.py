# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Our converter against OpenCV for each encoding, and against every lie a message can tell."""

from __future__ import annotations

import array

import cv2
from emu_perception.errors import InputError
from emu_perception.ros.bridge_probe import probe_image
from emu_perception.ros.image_messages import (
    compressed_to_rgb,
    ENCODINGS,
    image_to_rgb,
    to_bytes,
    to_image,
)
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

WIDTH, HEIGHT = 16, 12


def opencv_rgb(message: Image) -> np.ndarray:
    """Convert by OpenCV straight from the definition of the encoding."""
    name = message.encoding
    two_bytes = name.endswith('16')
    row = np.frombuffer(message.data, np.uint8).reshape(-1, message.step)
    per_pixel = {'rgb8': 3, 'bgr8': 3, '8UC3': 3, 'rgba8': 4, 'bgra8': 4, 'yuv422': 2, 'uyvy': 2,
                 'yuv422_yuy2': 2, 'yuyv': 2}.get(name, 2 if two_bytes else 1)
    row = np.ascontiguousarray(row[:, :message.width * per_pixel])
    if two_bytes:
        wide = row.view('>u2' if message.is_bigendian else '<u2').astype(np.float64)
        row = np.rint(wide / 257).astype(np.uint8)
    elif per_pixel > 1:
        row = row.reshape(row.shape[0], message.width, per_pixel)
    code = {
        'bgr8': 'BGR2RGB', '8UC3': 'BGR2RGB', 'rgba8': 'RGBA2RGB', 'bgra8': 'BGRA2RGB',
        'mono8': 'GRAY2RGB', '8UC1': 'GRAY2RGB', 'mono16': 'GRAY2RGB', 'yuv422': 'YUV2RGB_UYVY',
        'uyvy': 'YUV2RGB_UYVY', 'yuv422_yuy2': 'YUV2RGB_YUYV', 'yuyv': 'YUV2RGB_YUYV',
        'nv12': 'YUV2RGB_NV12', 'nv21': 'YUV2RGB_NV21',
        # cv_bridge's table of Bayer patterns
        'rggb': 'BayerBG2RGB', 'bggr': 'BayerRG2RGB', 'gbrg': 'BayerGR2RGB',
        'grbg': 'BayerGB2RGB'}
    if name == 'rgb8':
        return row
    key = name.split('_')[1].rstrip('0123456789') if name.startswith('bayer') else name
    return cv2.cvtColor(row, getattr(cv2, f'COLOR_{code[key]}'))


@pytest.mark.parametrize('padding', [0, 10])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_pixels_are_opencvs(encoding, padding):
    message = probe_image(encoding, WIDTH, HEIGHT, padding)
    rgb = image_to_rgb(message)
    assert rgb.shape == (HEIGHT, WIDTH, 3) and rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, opencv_rgb(message))


@pytest.mark.parametrize('encoding', ['mono16', 'bayer_rggb16'])
def test_big_endian_is_the_same_picture(encoding):
    message = probe_image(encoding, WIDTH, HEIGHT, padding=4)
    little = image_to_rgb(message)
    swapped = np.frombuffer(message.data, np.uint16).byteswap()
    message.data, message.is_bigendian = to_bytes(swapped), 1
    np.testing.assert_array_equal(image_to_rgb(message), little)


def test_colours_are_where_the_name_says():
    for encoding, channel in (('rgb8', 0), ('bgr8', 2), ('8UC3', 2), ('rgba8', 0), ('bgra8', 2)):
        channels = 4 if 'a8' in encoding else 3
        data = np.zeros((4, 4, channels), np.uint8)
        data[..., 0] = 200
        message = Image(width=4, height=4, encoding=encoding, step=4 * channels,
                        data=to_bytes(data))
        assert (image_to_rgb(message)[..., channel] == 200).all(), encoding
    red = np.zeros((8, 8), np.uint8)
    red[::2, ::2] = 255  # the R sites of rggb
    message = Image(width=8, height=8, encoding='bayer_rggb8', step=8, data=to_bytes(red))
    middle = image_to_rgb(message)[2:-2, 2:-2].reshape(-1, 3).mean(0)
    assert middle[0] > 200 and middle[1] < 10 and middle[2] < 10


def test_last_row_may_lack_its_padding():
    message = probe_image('rgb8', WIDTH, HEIGHT, padding=10)
    whole = image_to_rgb(message)
    message.data = message.data[:-10]
    np.testing.assert_array_equal(image_to_rgb(message), whole)


@pytest.mark.parametrize('change, named', [
    ({'encoding': '16UC1'}, 'looks like a depth topic'),
    ({'encoding': '32FC1'}, 'looks like a depth topic'),
    ({'encoding': 'jp2'}, "encoding 'jp2' is not supported"),
    ({'encoding': ''}, "encoding '' is not supported"),
    ({'width': 0}, '0x12'),
    ({'height': 0}, '16x0'),
    ({'width': 2**32 - 1, 'height': 2**32 - 1}, '4294967295x4294967295'),
    ({'step': 0}, 'step 0 is too small'),
    ({'step': 47}, 'step 47 is too small'),
    ({'data': array.array('B', bytes(100))}, 'truncated: 100 bytes'),
    ({'data': array.array('B')}, 'truncated: 0 bytes'),
    ({'height': 13}, 'truncated'),
    ({'encoding': 'yuyv', 'width': 15}, 'odd'),
    ({'encoding': 'nv12', 'height': 11}, 'odd'),
    ({'encoding': 'bayer_rggb8', 'width': 1, 'height': 1}, None),
])
def test_lying_message_is_refused_in_one_line_that_names_the_field(change, named):
    message = probe_image('rgb8', WIDTH, HEIGHT, padding=0)
    for field, value in change.items():
        setattr(message, field, value)
    if named is None:  # whatever OpenCV makes of it, nothing but InputError may come out
        try:
            assert image_to_rgb(message).shape == (1, 1, 3)
        except InputError:
            pass
        return
    with pytest.raises(InputError) as caught:
        image_to_rgb(message)
    assert named in str(caught.value) and '\n' not in str(caught.value)


def picture() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8),
                            (9, 9), 3)


def compressed(data: bytes, form: str = 'jpeg') -> CompressedImage:
    return CompressedImage(format=form, data=array.array('B', data))


def test_compressed_png_is_exact_and_rgb():
    bgr = picture()
    data = cv2.imencode('.png', bgr)[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(compressed(data, 'png')), bgr[..., ::-1])


def test_jpeg_with_padding_after_its_end_is_whole():
    data = cv2.imencode('.jpg', picture())[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(compressed(data + bytes(512))),
                                  compressed_to_rgb(compressed(data)))


@pytest.mark.parametrize('share', [0.0, 0.01, 0.3, 0.9, 0.99])
@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_truncated_compressed_image_is_refused(suffix, share):
    data = cv2.imencode(suffix, picture())[1].tobytes()
    with pytest.raises(InputError, match='truncated'):
        compressed_to_rgb(compressed(data[:int(len(data) * share)]))


def test_compressed_depth_is_refused():
    data = cv2.imencode('.png', np.zeros((4, 4), np.uint16))[1].tobytes()
    for form in ('16UC1; png compressed', '32FC1; compressedDepth'):
        with pytest.raises(InputError, match='looks like a depth topic'):
            compressed_to_rgb(compressed(data, form))


@pytest.mark.parametrize('pixels, encoding', [
    (np.arange(12, dtype=np.uint8).reshape(3, 4), 'mono8'),
    (np.arange(36, dtype=np.uint8).reshape(3, 4, 3), 'rgb8'),
    (np.array([[1.5, np.nan], [np.inf, -2.0]], np.float32), '32FC1')])
def test_message_made_from_pixels_holds_them(pixels, encoding):
    header = Header(frame_id='camera')
    message = to_image(pixels, encoding, header)
    assert (message.height, message.width) == pixels.shape[:2]
    assert message.step * message.height == len(message.data) == pixels.nbytes
    assert message.header == header and isinstance(message.data, array.array)
    back = np.frombuffer(message.data, pixels.dtype).reshape(pixels.shape)
    np.testing.assert_array_equal(back, pixels)
