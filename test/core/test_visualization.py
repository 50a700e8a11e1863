# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures show what the maps say: what is unknown, what is beyond the range, what is raised."""

from __future__ import annotations

import math

from emu_perception import visualization
from emu_perception.visualization import (
    default_palette,
    instance_color,
    instance_outlines,
    label_color,
    overlay,
    panel,
    risk_banner,
    scalar_color,
)
import numpy as np
import pytest

PALETTE = [(10, 20, 30), (200, 100, 50), (0, 255, 0)]


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """Return an image of noise."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_labels_get_their_colour_and_255_black():
    label = np.array([[0, 1], [2, 255]], np.uint8)
    assert label_color(label, PALETTE).tolist() == [
        [[10, 20, 30], [200, 100, 50]], [[0, 255, 0], [0, 0, 0]]]


def test_without_a_palette_every_label_is_black():
    assert not label_color(np.arange(4, dtype=np.uint8).reshape(2, 2), ()).any()


@pytest.mark.parametrize('classes', [1, 19, 40, 150, 255])
def test_default_colours_are_three_bytes_and_never_the_black_of_unlabelled(classes):
    palette = default_palette(classes)
    assert len(palette) == classes and (0, 0, 0) not in palette
    assert all(len(rgb) == 3 and all(0 <= c <= 255 for c in rgb) for rgb in palette)


def test_default_colours_of_forty_classes_are_told_apart():
    colours = np.array(default_palette(40), int)
    distance = np.abs(colours[:, None] - colours[None]).max(-1) + 999 * np.eye(40, dtype=int)
    assert distance.min() >= 10


def test_an_object_has_the_colour_of_its_number_in_every_image_and_none_is_black():
    one = instance_color(np.array([[0, 1, 2], [3, 255, 256]], np.uint16))
    assert one.shape == (2, 3, 3) and one.dtype == np.uint8 and not one[0, 0].any()
    colours = {tuple(rgb) for rgb in one.reshape(-1, 3)[1:5].tolist()}
    assert len(colours) == 4 and (0, 0, 0) not in colours
    assert one[1, 2].tolist() == one[0, 1].tolist(), 'after 255 the colours come again'
    assert instance_color(np.array([[2, 65535]], np.uint16))[0, 0].tolist() == one[0, 2].tolist()


def test_outlines_are_where_numbers_meet_and_leave_the_picture_as_it_was():
    image = np.full((4, 6, 3), 9, np.uint8)
    instance = np.zeros((4, 6), np.uint16)
    instance[:, 2:4], instance[:, 4:] = 300, 44
    drawn = instance_outlines(image, instance)
    assert np.flatnonzero((drawn == 255).all(axis=(0, 2))).tolist() == [2, 4]
    assert (drawn[:, [0, 1, 3, 5]] == 9).all() and (image == 9).all()


@pytest.mark.parametrize('colormap', ['turbo', 'magma', 'viridis', 'inferno'])
def test_unknown_is_black_and_beyond_the_range_the_last_colour(colormap):
    values = np.array([[math.nan, math.inf, 10.0, 11.0], [-math.inf, -1.0, 0.0, 5.0]], np.float32)
    rgb = scalar_color(values, 0.0, 10.0, colormap)
    assert rgb.dtype == np.uint8 and rgb.shape == (2, 4, 3)
    assert rgb[0, 0].tolist() == [0, 0, 0]
    top, bottom = rgb[0, 2].tolist(), rgb[1, 2].tolist()
    assert rgb[0, 1].tolist() == rgb[0, 3].tolist() == top
    assert rgb[1, 0].tolist() == rgb[1, 1].tolist() == bottom
    assert len({tuple(top), tuple(bottom), tuple(rgb[1, 3])}) == 3


def test_a_colour_means_the_same_value_in_every_frame():
    one = scalar_color(np.array([[1.0, 2.0]], np.float32), 0.0, 10.0)
    two = scalar_color(np.array([[1.0, 9.0]], np.float32), 0.0, 10.0)
    assert np.array_equal(one[0, 0], two[0, 0])


def test_the_colour_map_is_rgb_and_not_bgr():
    # Turbo runs from blue to red.
    low, high = scalar_color(np.array([[1.5, 9.0]], np.float32), 0.0, 10.0)[0].astype(int)
    assert low[2] > low[0] and high[0] > high[2]


def test_colouring_leaves_the_map_as_it_was():
    values = np.array([[math.nan, 1.0]], np.float32)
    scalar_color(values, 0.0, 10.0)
    assert np.array_equal(values, np.array([[math.nan, 1.0]], np.float32), equal_nan=True)


def test_an_overlay_keeps_the_image_where_nothing_is_labelled():
    image, label = picture(), np.full((60, 80), 255, np.uint8)
    label[:, 40:] = 1
    before = image.copy()
    blended = overlay(image, label, PALETTE, alpha=0.5)
    assert np.array_equal(blended[:, :40], image[:, :40])
    expected = 0.5 * image[:, 40:].astype(float) + 0.5 * np.array(PALETTE[1])
    assert np.abs(blended[:, 40:] - expected).max() <= 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize('alpha', [0.0, 1.0])
def test_the_ends_of_the_overlay_are_image_and_labels(alpha):
    image, label = picture(), np.ones((60, 80), np.uint8)
    expected = label_color(label, PALETTE) if alpha else image
    assert np.array_equal(overlay(image, label, PALETTE, alpha), expected)


def test_a_depth_only_checkpoint_has_an_overlay_too():
    image = picture()
    assert np.array_equal(overlay(image, np.full((60, 80), 255, np.uint8), ()), image)


@pytest.mark.parametrize('size', [(60, 80), (480, 640), (5, 7)])
@pytest.mark.parametrize('raised', [True, False])
def test_a_banner_is_a_copy_red_or_green_and_only_at_the_top(size, raised):
    image = picture(*size)
    before = image.copy()
    shown = risk_banner(image, raised, 'RISK stale: no image for 3.0 s, ü ° \N{SNOWMAN}')
    assert np.array_equal(image, before) and not np.shares_memory(shown, image)
    assert shown.shape == image.shape and shown.dtype == np.uint8
    red, green, _ = np.median(shown[:3].reshape(-1, 3), axis=0)
    assert bool(red > green) == raised
    assert np.array_equal(shown[max(18, size[0] // 20):], image[max(18, size[0] // 20):])


def test_a_banner_takes_read_only_and_mirrored_images():
    image = picture()
    image.flags.writeable = False
    assert risk_banner(image, True, 'x').shape == image.shape
    assert risk_banner(image[:, ::-1], True, 'x').shape == image.shape


def test_text_longer_than_the_picture_is_shrunk_into_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(visualization.cv2, 'putText', lambda *a, **_: drawn.append(a))
    visualization.put_text(picture(40, 300), 'word ' * 40, (6, 20), 18)
    visualization.put_text(picture(40, 300), 'word', (6, 20), 18)
    (_, text, origin, font, scale, *_), (*_, usual, _, _, _) = drawn
    width = visualization.cv2.getTextSize(text, font, scale, 1)[0][0]
    assert origin[0] + width <= 300 and scale < usual


@pytest.mark.parametrize(('tiles', 'columns', 'rows'), [
    (1, 3, 1), (3, 3, 1), (4, 3, 2), (5, 2, 3)])
def test_a_panel_has_a_cell_for_each_tile(tiles, columns, rows):
    shown = panel([(f'tile {i}', picture(60, 80)) for i in range(tiles)], columns, tile_width=160)
    assert shown.shape == (rows * (120 + 26), columns * 160, 3) and shown.dtype == np.uint8


def test_a_panel_shows_tiles_in_order_at_their_aspect():
    white, red = np.full((40, 80, 3), 255, np.uint8), np.zeros((80, 80, 3), np.uint8)
    red[..., 0] = 255
    shown = panel([('a', white), ('b', red)], columns=2, tile_width=100)
    assert shown.shape == (100 + 26, 200, 3)
    assert (shown[26:26 + 50, :100] == 255).all()
    assert (shown[26 + 50:, :100] == 24).all()  # the background below the wider tile
    assert (shown[26:, 100:] == (255, 0, 0)).all()
    assert (shown[:26, :100] > 200).any()  # the title
