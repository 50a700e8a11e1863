# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""cv_bridge is used only where it proved itself, and never without a look at the message."""

from __future__ import annotations

from bridge_bench import GOOD_PACKAGE, GoodBridge, install
from emu_perception.errors import InputError
from emu_perception.ros import bridge
from emu_perception.ros.bridge_probe import probe_image
from emu_perception.ros.image_messages import ENCODINGS, image_to_rgb
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('own_cache')


def test_converter_validates_before_it_uses_the_bridge():
    convert = bridge.bridge_converter(GoodBridge(), frozenset({'rgb8'}))
    message = probe_image('rgb8')
    np.testing.assert_array_equal(convert(message), image_to_rgb(message))
    assert convert(probe_image('nv12')).shape == (6, 8, 3)
    message.data = message.data[:50]
    with pytest.raises(InputError, match='truncated'):
        convert(message)


def test_bridge_that_raises_on_an_image_makes_the_image_unusable_not_the_node():
    convert = bridge.bridge_converter(object(), frozenset({'rgb8'}))
    with pytest.raises(InputError, match='cv_bridge'):
        convert(probe_image('rgb8'))


def test_images_of_another_byte_order_are_ours_since_the_bridge_was_not_tried_with_them():
    convert = bridge.bridge_converter(object(), frozenset({'mono16', 'rgb8'}))
    for encoding in ('mono16', 'rgb8'):
        message = probe_image(encoding)
        message.is_bigendian = 1
        np.testing.assert_array_equal(convert(message), image_to_rgb(message))


@pytest.mark.parametrize('body, why', [
    ('import os\nos.abort()', 'code -6'),
    ('raise ImportError("numpy.core.multiarray failed to import")', 'code 1'),
    ('class CvBridge:\n    def imgmsg_to_cv2(self, *_): return None', 'wrongly'),
])
def test_bridge_that_crashes_the_process_leaves_the_node_with_its_own_converter(
        tmp_path, monkeypatch, body, why):
    install(tmp_path, monkeypatch, body)
    convert, description = bridge.choose_converter()
    assert convert is image_to_rgb and why in description


def test_installed_good_bridge_is_chosen(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, GOOD_PACKAGE)
    convert, description = bridge.choose_converter()
    assert convert is not image_to_rgb and description.startswith('cv_bridge for')
    message = probe_image('rgb8')
    np.testing.assert_array_equal(convert(message), image_to_rgb(message))


def test_really_installed_bridge_is_right_or_rejected():
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed: NOT TESTED here')
    convert, _ = bridge.choose_converter()
    for encoding in ENCODINGS:
        message = probe_image(encoding, 32, 24, seed=1)
        difference = convert(message).astype(int) - image_to_rgb(message)
        assert np.abs(difference).max() <= 1, encoding
