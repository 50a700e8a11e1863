# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""cv_bridge is believed only where it proved itself."""

from __future__ import annotations

import sys

from emu_perception.errors import InputError
from emu_perception.ros import bridge
from emu_perception.ros.image_messages import ENCODINGS, image_to_rgb
import numpy as np
import pytest


class GoodBridge:
    """As ROS 2's: right for all it knows, and it does not know NV12."""

    def imgmsg_to_cv2(self, message, encoding):
        if message.encoding.startswith('nv'):
            raise RuntimeError('unknown encoding')
        assert encoding == 'rgb8'
        return image_to_rgb(message)


class StepIgnoringBridge:
    """As PyPI's (ROS 1's): reads the rows as if they were not padded."""

    def imgmsg_to_cv2(self, message, encoding):
        unpadded = type(message)(
            header=message.header, width=message.width, height=message.height,
            encoding=message.encoding, data=message.data,
            step=message.step - 10 if message.step > message.width else message.step)
        return image_to_rgb(unpadded)


class SwappedBridge:
    """Takes bgr for rgb."""

    def imgmsg_to_cv2(self, message, encoding):
        return image_to_rgb(message)[..., ::-1]


def test_good_bridge_is_proven_for_what_it_knows():
    assert bridge.proven_encodings(GoodBridge()) == {e for e in ENCODINGS if e[:2] != 'nv'}


@pytest.mark.parametrize('bad', [StepIgnoringBridge, SwappedBridge])
def test_bridge_that_ignores_padding_or_swaps_colours_is_rejected(bad):
    assert not bridge.proven_encodings(bad()) & {'rgb8', 'bgr8'}


def test_bridge_that_raises_on_everything_is_rejected():
    assert not bridge.proven_encodings(object())


def test_converter_validates_before_it_uses_the_bridge():
    convert = bridge.bridge_converter(GoodBridge(), frozenset({'rgb8'}))
    message = bridge.probe_image('rgb8')
    np.testing.assert_array_equal(convert(message), image_to_rgb(message))
    assert convert(bridge.probe_image('nv12')).shape == (6, 8, 3)
    message.data = message.data[:50]
    with pytest.raises(InputError, match='truncated'):
        convert(message)


def test_bridge_that_raises_on_an_image_makes_the_image_unusable_not_the_node():
    convert = bridge.bridge_converter(object(), frozenset({'rgb8'}))
    with pytest.raises(InputError, match='cv_bridge'):
        convert(bridge.probe_image('rgb8'))


def install(tmp_path, monkeypatch, body):
    package = tmp_path / 'cv_bridge'
    package.mkdir()
    (package / '__init__.py').write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Set first, so that the import of this fake is undone with the test.
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    monkeypatch.delitem(sys.modules, 'cv_bridge')


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
    install(tmp_path, monkeypatch, """
from emu_perception.ros.image_messages import image_to_rgb
class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        return image_to_rgb(message)
""")
    convert, description = bridge.choose_converter()
    assert convert is not image_to_rgb and description.startswith('cv_bridge for')
    message = bridge.probe_image('rgb8')
    np.testing.assert_array_equal(convert(message), image_to_rgb(message))


def test_really_installed_bridge_is_right_or_rejected():
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed: NOT TESTED here')
    convert, _ = bridge.choose_converter()
    for encoding in ENCODINGS:
        message = bridge.probe_image(encoding, 32, 24, seed=1)
        difference = convert(message).astype(int) - image_to_rgb(message)
        assert np.abs(difference).max() <= 1, encoding
