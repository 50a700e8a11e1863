# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Promised maps over DDS: of images that are believed, of the fitted camera, or not at all."""

from __future__ import annotations

from node_bench import camera_info, fake_promises, FakePredictor, rgb_image
import numpy as np
import pytest
from rcl_interfaces.msg import Log
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros


def values(message, dtype):
    pixels = np.frombuffer(bytes(message.data), dtype)
    assert message.step * message.height == pixels.nbytes
    return pixels.reshape(message.height, message.width, -1)


def feed(bench, condition, **info):
    bench.until(condition, send=rgb_image(), camera_info=camera_info(**info))


@pytest.fixture
def promising(make_bench):
    return make_bench(predictor=FakePredictor(calibration=fake_promises()))


def test_both_ends_come_in_one_image_and_the_level_is_live(promising):
    interval, size = (promising.listen(Image, name) for name in (
        'depth/interval', 'label_set_size'))
    feed(promising, lambda: interval and size)
    assert interval[-1].encoding == '32FC2' and size[-1].encoding == 'mono8'
    found = values(interval[-1], np.float32)
    # Depth 2 m, sigma 0.2 m in the upper half; the first two pixels are beyond and unknown.
    assert np.isnan(found[0, :2]).all()
    np.testing.assert_allclose(found[5, 5], [1.6, 2.6], rtol=1e-6)
    assert values(size[-1], np.uint8)[5, 5] == 2 and values(size[-1], np.uint8)[-1, 5] == 2
    said = promising.received.setdefault('/rosout', [])
    promising.listen(Log, '/rosout')
    assert promising.set(promise_level=0.95).successful
    # Not at the start alone: who asks for it live is told as well.
    promising.until(lambda: any('at 0.95 is calibrated, not promised' in one.msg for one in said))
    feed(promising, lambda: values(interval[-1], np.float32)[5, 5, 1] > 2.9)
    refused = promising.set(promise_level=0.7)
    assert not refused.successful
    assert refused.reason == 'parameter promise_level is 0.7: the checkpoint has 0.9, 0.95'
    # The sets were fitted for 0.9 alone: none at 0.95, and not those of 0.9 in their place.
    del size[:], interval[:]
    feed(promising, lambda: len(interval) > 3)
    assert not size


def test_nothing_is_promised_of_an_image_that_is_not_believed(promising):
    interval, size, depth = (promising.listen(Image, name) for name in (
        'depth/interval', 'label_set_size', 'depth/image'))
    feed(promising, lambda: interval and size)
    promising.predictor.mean_entropy = 1.2  # Its threshold is 0.8.
    feed(promising, lambda: promising.risk() is True)
    del interval[:], size[:], depth[:]
    feed(promising, lambda: len(depth) > 3)
    assert not interval and not size, 'depth itself is not gated here'
    promising.predictor.mean_entropy = 0.5
    feed(promising, lambda: interval and size)


def test_another_camera_gets_no_promise(promising):
    interval, depth = (promising.listen(Image, name) for name in ('depth/interval', 'depth/image'))
    feed(promising, lambda: interval and depth, fx=50.0)
    feed(promising, lambda: depth and promising.predictor.calls[-1]['fx'] == 75.0, fx=75.0)
    del interval[:], depth[:]
    feed(promising, lambda: len(depth) > 3, fx=75.0)
    assert not interval


def test_a_checkpoint_without_promises_has_no_such_topics_and_runs(make_bench):
    bench = make_bench(parameters={'promise_level': 0.8})
    names = {name for name, _ in bench.node.get_publisher_names_and_types_by_node('emu', '/')}
    assert '/emu/depth/image' in names
    assert not names & {'/emu/depth/interval', '/emu/label_set_size'}


@pytest.mark.parametrize('hinted', [False, True])
def test_labels_alone_are_promised_without_a_focal_length_which_they_do_not_need(
        make_bench, hinted):
    predictor = FakePredictor(tasks=('segmentation',), calibration=fake_promises())
    bench = make_bench(predictor=predictor, active=False, parameters={
        'fallback_hfov_deg': 0.0, 'depth_hint': hinted})
    said = bench.received.setdefault('/rosout', [])
    bench.listen(Log, '/rosout')
    assert bench.transition('configure') and bench.transition('activate')
    label, size = (bench.listen(Image, name) for name in ('label', 'label_set_size'))
    bench.until(lambda: label and size and bench.risk() is False, send=rgb_image())
    assert predictor.calls[-1]['fx'] is None
    assert values(size[-1], np.uint8)[5, 5] == 2
    names = {name for name, _ in bench.node.get_publisher_names_and_types_by_node('emu', '/')}
    assert not {name for name in names if name.startswith(('/emu/depth', '/emu/points'))}
    # A depth camera is joined to metres, of which there are none.
    assert any('joined to nothing' in one.msg for one in said) == hinted
    # Another camera's images are others, whether metres are asked for or not.
    feed(bench, lambda: predictor.calls[-1]['fx'] == 75.0, fx=75.0)
    bench.until(lambda: bench.risk() is False)
    del label[:], size[:]
    feed(bench, lambda: len(label) > 3, fx=75.0)
    assert not size
