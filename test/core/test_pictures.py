# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A Predictor takes what people have of an image, and refuses what it would have to guess."""

from __future__ import annotations

import cv2
from emu_perception.errors import InputError
from emu_perception.pictures import batch_of, rgb_picture
import numpy as np
import pytest
import torch

RGB = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def test_an_array_stays_the_same_object():
    assert rgb_picture(RGB) is RGB


@pytest.mark.parametrize('kind', [str, lambda path: path])
def test_a_path_is_read_as_rgb(tmp_path, kind):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), cv2.cvtColor(RGB, cv2.COLOR_RGB2BGR))
    assert np.array_equal(rgb_picture(kind(path)), RGB)


def test_a_path_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match='none.png: cannot be read'):
        rgb_picture(tmp_path / 'none.png')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(InputError, match='text.png: '):
        rgb_picture(tmp_path / 'text.png')


def test_tensors_of_either_order_are_the_same_picture():
    for tensor in (torch.from_numpy(RGB), torch.from_numpy(RGB).permute(2, 0, 1)):
        found = rgb_picture(tensor)
        assert np.array_equal(found, RGB) and found.flags.c_contiguous


@pytest.mark.parametrize('tensor', [torch.zeros(3, 48, 64), torch.zeros(48, 64, dtype=torch.uint8),
                                    torch.zeros(1, 48, 64, dtype=torch.uint8)])
def test_a_tensor_whose_range_or_channels_would_be_a_guess_is_refused(tensor):
    with pytest.raises(InputError, match='image is a Tensor'):
        rgb_picture(tensor)


def test_pil_images_are_converted_and_stand_upright():
    image = pytest.importorskip('PIL.Image', reason='NOT TESTED: Pillow is not installed')
    assert np.array_equal(rgb_picture(image.fromarray(RGB)), RGB)
    grey = rgb_picture(image.fromarray(RGB[..., 0]))
    assert grey.shape == RGB.shape and np.array_equal(grey[..., 2], RGB[..., 0])
    turned = image.fromarray(RGB)
    turned.getexif()[0x0112] = 6  # To be turned by 90 degrees to the right.
    assert np.array_equal(rgb_picture(turned), np.rot90(RGB, -1))
    with pytest.raises(InputError, match="mode 'I;16'"):
        rgb_picture(image.fromarray(np.zeros((4, 4), np.uint16)))


@pytest.mark.parametrize('other', [None, 3, {'image': RGB}])
def test_anything_else_says_what_to_give(other):
    with pytest.raises(InputError, match='image is .*: give an array'):
        rgb_picture(other)


def test_lists_and_batches_are_several():
    batch = torch.from_numpy(np.stack([RGB, RGB])).permute(0, 3, 1, 2)
    assert len([*batch_of(batch)]) == len([*batch_of([RGB, 'a.png'])]) == 2
    assert batch_of(RGB) is None and batch_of('a.png') is None
