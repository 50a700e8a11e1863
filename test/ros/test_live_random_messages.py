# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Messages nobody thought of: whatever comes is counted once, as processed or as unusable."""

from __future__ import annotations

import array
from collections.abc import Iterator
import time
from typing import Any

import cv2
from emu_perception.cameras.one_camera import OneCamera
from emu_perception.ros.image_messages import ENCODINGS
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
from live_messages import picture
from live_node import Live
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None,
               suppress_health_check=list(HealthCheck))
TIMEOUT_S = 20.0
BYTES = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8).tobytes()
WHOLE = {'jpeg': cv2.imencode('.jpg', picture())[1].tobytes(),
         'png': cv2.imencode('.png', picture())[1].tobytes()}
SCAN = WHOLE['jpeg'].rfind(b'\xff\xda')  # behind the size: a huge one is another test's
PIXELS = WHOLE['png'].index(b'IDAT') + 4  # behind the length of the chunk, likewise
PER_PIXEL = {'rgb8': 3, 'bgr8': 3, '8UC3': 3, 'rgba8': 4, 'bgra8': 4, 'yuv422': 2, 'uyvy': 2,
             'yuv422_yuy2': 2, 'yuyv': 2, 'mono16': 2}
TEXT = st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=20)


@st.composite
def images(draw: Any) -> Image:
    """Draw an image that is right but for, perhaps, a field or two."""
    encoding = draw(st.sampled_from(ENCODINGS) | st.sampled_from(('16UC1', '32FC1')) | TEXT)
    width, height = (draw(st.integers(30, 70) | st.integers(0, 300)) for _ in range(2))
    step = width * PER_PIXEL.get(encoding, 2 if encoding.endswith('16') else 1)
    step = max(0, step + draw(st.sampled_from((0, 0, 0, 1, 7, 64, -1))))
    size = step * height * (3 if encoding.startswith('nv') else 2) // 2
    size = max(0, size + draw(st.sampled_from((0, 0, 0, 5, -1, -step, -size))))
    return stamped(draw, Image(
        width=width, height=height, encoding=encoding, step=step,
        is_bigendian=draw(st.sampled_from((0, 0, 1, 255))), data=array.array('B', BYTES[:size])))


@st.composite
def compressed_images(draw: Any) -> CompressedImage:
    """Draw a JPEG with a few bytes changed, cut out or put in, or a PNG with some changed."""
    kind = draw(st.sampled_from(('jpeg', 'png')))
    data = bytearray(WHOLE[kind])
    for _ in range(draw(st.integers(0, 4))):
        new = draw(st.binary(max_size=3))
        if kind == 'jpeg':
            at = draw(st.integers(SCAN, len(data) - 1))
            data[at:at + draw(st.integers(0, 3))] = new
        else:
            at = draw(st.integers(PIXELS, len(data) - 24))
            data[at:at + len(new)] = new
    return stamped(draw, CompressedImage(format=draw(st.just(kind) | TEXT),
                                         data=array.array('B', bytes(data))))


@st.composite
def camera_infos(draw: Any) -> CameraInfo:
    """Draw a camera_info of any numbers."""
    number = st.floats(-1e4, 1e4) | st.floats()
    side = st.integers(0, 2**32 - 1)
    info = CameraInfo(
        width=draw(st.just(64) | side), height=draw(st.just(48) | side),
        d=draw(st.lists(number, max_size=8)),
        k=draw(st.lists(number, min_size=9, max_size=9)),
        p=draw(st.lists(number, min_size=12, max_size=12)),
        binning_x=draw(st.integers(0, 2)), binning_y=draw(st.integers(0, 2)))
    if draw(st.integers(0, 3)) == 0:
        info.roi.width, info.roi.x_offset = draw(side), draw(side)
    return info


def stamped(draw: Any, message: Any) -> Any:
    """Give it any header."""
    message.header.stamp.sec = draw(st.integers(-2**31, 2**31 - 1))
    message.header.stamp.nanosec = draw(st.integers(0, 2**32 - 1))
    message.header.frame_id = draw(TEXT)
    return message


@pytest.fixture(scope='module')
def live(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return one node for all, which asks not whether they are one camera's: they are drawn."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(OneCamera, 'doubt', lambda one, now_s: '')
        node = Live(tmp_path_factory.mktemp('model'))
        yield node
        node.close()


def counted_as(live: Live, message: Any) -> str:
    """Hand a message to the node's callback; return the one thing it was counted as."""
    statistics = live.bench.node._statistics

    def counts() -> dict[str, int]:
        now = statistics.snapshot(time.monotonic())
        return {'processed': now.counts['processed'], **now.drops}
    before = counts()
    live.bench.node._on_image(message)
    end = time.monotonic() + TIMEOUT_S
    while counts() == before:
        assert time.monotonic() < end, 'never counted'
        time.sleep(0.001)
    changed = {name: count - before.get(name, 0) for name, count in counts().items()
               if count != before.get(name, 0)}
    assert changed in ({'processed': 1}, {'unusable_input': 1}), (
        changed, statistics.snapshot(time.monotonic()).last_error)
    return next(iter(changed))


@FEW
@given(message=images())
def test_random_image_is_processed_or_refused_and_never_a_failure(live, message):
    live.read('raw')
    counted_as(live, message)


@FEW
@given(info=camera_infos())
def test_random_camera_info_costs_no_image(live, info):
    live.read('raw')
    live.bench.node._pipeline.camera.update(info)
    message = Image(width=64, height=48, encoding='mono8', step=64,
                    data=array.array('B', BYTES[:64 * 48]))
    assert counted_as(live, message) == 'processed'


@FEW
@given(message=compressed_images())
def test_random_compressed_image_is_processed_or_refused_and_never_a_failure(live, message):
    live.read('compressed')
    counted_as(live, message)


def test_node_is_as_good_as_new_after_all_of_it(live):
    live.restart()
    live.good()
    assert live.bench.state() == 'active'
