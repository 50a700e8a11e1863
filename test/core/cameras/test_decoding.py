# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of cameras, depth cameras and simulators become rgb, metres and class indices."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import cv2
from emu_perception.cameras import image_decoding
from emu_perception.cameras.depth_decoding import decode_depth, decode_label
from emu_perception.cameras.image_decoding import compressed_to_rgb, DamagedImage, image_to_rgb
from emu_perception.errors import InputError
import numpy as np
import pytest

WIDTH, HEIGHT = 16, 12  # Pixels.
RGB = (200, 100, 50)


def image(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> Any:
    """Make an Image whose rows end in padding bytes."""
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    rows = np.pad(rows.reshape(len(pixels), -1), ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                           is_bigendian=int(big_endian), step=rows.shape[1], data=rows.ravel())


def packed(data: bytes, form: str) -> Any:
    """Make a CompressedImage."""
    return SimpleNamespace(format=form, data=np.frombuffer(data, np.uint8))


BGR = np.full((HEIGHT, WIDTH, 3), RGB[::-1], np.uint8)
PNG = cv2.imencode('.png', BGR)[1].tobytes()
JPEG = cv2.imencode('.jpg', BGR, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
GREY = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize(('encoding', 'pixels'), [
    ('rgb8', BGR[..., ::-1]), ('bgr8', BGR), ('8UC3', BGR),
    ('rgba8', np.dstack([BGR[..., ::-1], GREY])), ('bgra8', np.dstack([BGR, GREY])),
])
@pytest.mark.parametrize('padding', [0, 5])
def test_every_colour_order_becomes_rgb_whatever_the_row_padding(encoding, pixels, padding):
    decoded = image_to_rgb(image(pixels, encoding, padding=padding))
    assert decoded.shape == (HEIGHT, WIDTH, 3) and (decoded == RGB).all()


def test_mono_yuv_and_bayer_become_rgb():
    assert (image_to_rgb(image(GREY, 'mono8', padding=3)) == GREY[..., None]).all()
    # A grey picture: luma y, both chroma 128; the order of the bytes tells yuyv from uyvy.
    luma, chroma = np.full((HEIGHT, WIDTH), 126, np.uint8), np.full((HEIGHT, WIDTH), 128, np.uint8)
    for encoding, order in (('yuv422_yuy2', (luma, chroma)), ('yuyv', (luma, chroma)),
                            ('yuv422', (chroma, luma)), ('uyvy', (chroma, luma))):
        decoded = image_to_rgb(image(np.dstack(order), encoding))
        assert np.ptp(decoded) == 0 and decoded[0, 0, 0] == 128, encoding
    chroma[:, 1::2] = 240  # The second chroma sample is V: red.
    decoded = image_to_rgb(image(np.dstack([luma, chroma]), 'yuv422_yuy2'))
    assert decoded[5, 5, 0] > 200 > decoded[5, 5, 2], 'U and V are swapped'
    for encoding, (row, column) in (('bayer_rggb8', (0, 0)), ('bayer_bggr8', (1, 1)),
                                    ('bayer_grbg8', (0, 1)), ('bayer_gbrg8', (1, 0))):
        mosaic = np.zeros((HEIGHT, WIDTH), np.uint8)
        mosaic[row::2, column::2] = 200  # Only red pixels see light.
        assert (image_to_rgb(image(mosaic, encoding))[4:8, 4:8] == [200, 0, 0]).all(), encoding


def test_compressed_images_become_rgb():
    assert (compressed_to_rgb(packed(PNG, 'rgb8; png compressed bgr8')) == RGB).all()
    assert np.abs(compressed_to_rgb(packed(JPEG, 'jpeg')).astype(int) - RGB).max() <= 3


def compressed_depth(stored: np.ndarray, a: float = 0.0, b: float = 0.0) -> bytes:
    """Return what compressed_depth_image_transport sends: 12 bytes, then a PNG."""
    return struct.pack('<iff', 0, a, b) + cv2.imencode('.png', stored)[1].tobytes()


def test_every_kind_of_depth_becomes_metres():
    millimetres = np.full((HEIGHT, WIDTH), 1234, np.uint16)
    millimetres[0, 0] = 0
    metres = millimetres.astype(np.float32) / 1000
    metres[0, 0] = np.nan
    a, b = 4000.0, -300.0
    quantised = np.where(millimetres > 0, np.round(a / np.maximum(metres, 0.1) + b), 0)
    png = cv2.imencode('.png', millimetres)[1].tobytes()
    for message in (image(millimetres, '16UC1', padding=6), image(metres, '32FC1', padding=4),
                    image(millimetres, '16UC1', big_endian=True),
                    image(metres, '32FC1', big_endian=True), image(millimetres, 'mono16'),
                    packed(png, '16UC1; png compressed'),
                    packed(compressed_depth(millimetres), '16UC1; compressedDepth png'),
                    packed(compressed_depth(millimetres), '16UC1; compressedDepth'),
                    packed(compressed_depth(quantised.astype(np.uint16), a, b),
                           '32FC1; compressedDepth png')):
        depth = decode_depth(message)
        assert depth.dtype == np.float32 and depth.shape == (HEIGHT, WIDTH)
        assert depth[5, 5] == pytest.approx(1.234, abs=5e-4)
        assert depth[0, 0] == 0 or np.isnan(depth[0, 0])


def test_the_largest_of_16_bits_is_nothing_seen_and_not_65_metres():
    millimetres = np.full((HEIGHT, WIDTH), 65534, np.uint16)
    millimetres[0, :3] = 65535
    for message in (image(millimetres, '16UC1', big_endian=True), image(millimetres, 'mono16'),
                    packed(compressed_depth(millimetres), '16UC1; compressedDepth png')):
        depth = decode_depth(message)
        assert depth.dtype == np.float32 and (depth[0, :3] == 0).all()
        assert depth[0, 3] == pytest.approx(65.534)


def test_labels_are_of_one_channel():
    label = np.tile(np.array([0, 1, 2, 255], np.uint8), (HEIGHT, 4))
    png = cv2.imencode('.png', label)[1].tobytes()
    for message in (image(label, 'mono8', padding=3), image(label.astype(np.uint16), '16UC1'),
                    packed(png, 'mono8; png compressed ')):
        assert (decode_label(message) == label).all()


@pytest.mark.parametrize(('decode', 'message', 'words'), [
    (decode_depth, image(GREY, 'mono8'), "encoding 'mono8' is not depth"),
    (decode_depth, packed(PNG, '16UC1; compressedDepth rvl'), 'RVL'),
    (decode_depth, packed(PNG, 'png'), 'holds uint8'),
    (decode_depth, packed(cv2.imencode('.png', GREY.astype(np.uint16))[1].tobytes(),
                          '32FC1; png compressed'), 'no quantisation'),
    (decode_label, image(BGR, 'bgr8'), "encoding 'bgr8' is not a label map"),
    (decode_label, packed(PNG, 'png'), 'not a label map'),
    (decode_label, packed(JPEG, 'jpeg'), 'not a label map'),
])
def test_what_is_no_depth_and_no_label_is_named(decode, message, words):
    with pytest.raises(InputError, match=words) as error:
        decode(message)
    assert not isinstance(error.value, DamagedImage), 'others of the topic are no better'


@pytest.mark.parametrize(('decode', 'message'), [
    (decode_depth, packed(compressed_depth(GREY.astype(np.uint16))[:60],
                          '16UC1; compressedDepth png')),
    (decode_depth, packed(b'', '16UC1; png compressed')),
    (decode_label, packed(PNG[:40], 'png')),
    (compressed_to_rgb, packed(JPEG[:-20], 'jpeg')),
    (decode_depth, SimpleNamespace(**{**vars(image(GREY.astype(np.uint16), '16UC1')),
                                      'data': np.zeros(9, np.uint8)})),
])
def test_one_damaged_message_says_nothing_of_the_others(decode, message):
    with pytest.raises(DamagedImage):
        decode(message)


def png(pixels: np.ndarray) -> bytes:
    """Return a PNG."""
    return cv2.imencode('.png', pixels)[1].tobytes()


@pytest.mark.parametrize('kind', ['png', 'jpeg'])
@pytest.mark.parametrize(('pattern', 'row', 'column'), [
    ('rggb', 0, 0), ('bggr', 1, 1), ('grbg', 0, 1), ('gbrg', 1, 0)])
def test_a_mosaic_in_a_compressed_image_becomes_rgb(kind, pattern, row, column):
    """As image_transport packs it: the pixels of the sensor, grey to any viewer."""
    mosaic = np.full((48, 64), 90, np.uint8)
    mosaic[row::2, column::2], mosaic[1 - row::2, 1 - column::2] = 200, 30
    data = png(mosaic) if kind == 'png' else cv2.imencode(
        '.jpg', mosaic, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    rgb = compressed_to_rgb(packed(data, f'bayer_{pattern}8; {kind} compressed '))
    assert np.abs(rgb[20:28, 20:28].astype(int) - [200, 90, 30]).max() <= 6
    if kind == 'png':
        deep = png(mosaic.astype(np.uint16) * 257)
        form = f'bayer_{pattern}16; png compressed '
        assert np.abs(compressed_to_rgb(packed(deep, form)).astype(int) - rgb).max() <= 1


def test_a_colour_image_that_is_called_a_mosaic_stays_one():
    """Some drivers convert and leave the name."""
    assert (compressed_to_rgb(packed(PNG, 'bayer_rggb8; png compressed bgr8')) == RGB).all()
    assert (compressed_to_rgb(packed(png(np.dstack([BGR, GREY])), 'bayer_rggb8; png compressed'))
            == RGB).all()


@pytest.mark.parametrize(('form', 'order'), [
    ('rgb8; png compressed bgr8', 1), ('bgr8; png compressed bgr8', 1), ('png', 1), ('', 1),
    ('rgba8; png compressed bgr8', 1), ('8UC3; png compressed ', 1), ('rgb8; png compressed', 1),
    ('rgb8; png compressed rgb8', -1), ('bgr8; png compressed rgb8', -1)])
def test_the_order_of_the_packed_colours_is_what_the_format_says(form, order):
    assert (compressed_to_rgb(packed(PNG, form)) == RGB[::order]).all()


def test_16_bit_pngs_become_what_their_raw_images_become():
    deep = (GREY.astype(np.uint16) * 257).copy()
    for form in ('mono16; png compressed ', 'png'):
        assert np.abs(compressed_to_rgb(packed(png(deep), form)).astype(int)
                      - GREY[..., None]).max() <= 1, form
    colour = png(BGR.astype(np.uint16) * 257)
    for form in ('rgb16; png compressed bgr16', 'bgr16; png compressed bgr16'):
        assert (compressed_to_rgb(packed(colour, form)) == RGB).all(), form


@pytest.mark.parametrize('form', ['zstd', 'theora', 'h264', 'hevc; rgb8', 'libx264'])
def test_other_transports_are_named(form):
    with pytest.raises(InputError, match='another transport .*republish') as error:
        compressed_to_rgb(packed(PNG, form))
    assert not isinstance(error.value, DamagedImage)


@pytest.mark.parametrize(('bits', 'hints'), [(8, 0), (10, 1), (12, 1), (14, 0), (16, 0)])
def test_a_16_bit_image_that_uses_10_or_12_bits_gets_a_hint_once(caplog, bits, hints):
    image_decoding._hint_at_fewer_bits.cache_clear()
    pixels = np.linspace(0, (1 << bits) - 1, WIDTH * HEIGHT).astype(np.uint16)
    for _ in range(3):
        image_to_rgb(image(pixels.reshape(HEIGHT, WIDTH), 'mono16'))
        image_to_rgb(image(pixels.reshape(HEIGHT, WIDTH), 'bayer_rggb16'))
        compressed_to_rgb(packed(png(pixels.reshape(HEIGHT, WIDTH)), 'mono16; png compressed '))
    assert len(caplog.records) == hints, caplog.text
    assert not hints or 'all but black' in caplog.text
