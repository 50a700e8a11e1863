# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Hints of another run, clock, frame, calibration or camera."""

from __future__ import annotations

from dataclasses import replace
import time
from unittest.mock import Mock

from emu_perception.cameras import one_camera
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.prediction import Prediction
from emu_perception.ros.depth_hints import DepthHints
from emu_perception.ros.hint_fusion import HintFusion
from emu_perception.ros.parameters import Settings
import numpy as np
import pytest
from sensor_msgs.msg import Image

SECOND = 10**9


def message(stamp_ns: int, metres: float = 2.0, frame: str = 'colour') -> Image:
    """Return a hint of one depth."""
    depth = np.full((96, 128), metres, np.float32)
    found = Image(height=96, width=128, step=512, encoding='32FC1', data=depth.tobytes())
    found.header.stamp.sec, found.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    found.header.frame_id = frame
    return found


def test_hints_of_before_a_jump_back_and_without_a_stamp_are_of_no_image():
    hints = DepthHints('/d')
    hints.update(message(10 * SECOND))
    hints.update(message(SECOND))
    hints.expect(SECOND, 0.015)
    assert hints.take(time.monotonic()) is not None
    hints.expect(10 * SECOND, 0.015)
    assert hints.take(time.monotonic()) is None
    hints.update(message(0))
    hints.expect(0, 0.015)
    assert hints.take(time.monotonic()) is None


def joined(fusion: HintFusion, sec: int, hint: Image | None, fx: float, grey: int = 90
           ) -> Prediction:
    """Return what becomes of a grey image whose network says 2 m at fx 100."""
    image, depth = message(sec * SECOND), np.full((96, 128), fx / 50.0, np.float32)
    settings = replace(Settings(), depth_hint_wait_s=0.0)
    if hint is not None:
        fusion.hints.update(hint)
    fusion.expect(image, settings)
    return fusion.fused(np.full((96, 128, 3), grey, np.uint8), Prediction(
        {'depth': depth, 'depth_variance': (0.1 * depth) ** 2}, {}, (96, 128)),
        judge(pinhole_info(128, 96, fx), 128, 96, rectified=False).needed(),
        time.monotonic(), settings)


def test_another_focal_length_forgets_the_scale_and_another_frame_is_no_hint():
    fusion = HintFusion(DepthHints('/d'), Mock())
    assert joined(fusion, 1, message(SECOND), 100.0).scale_sigma < 0.1
    assert joined(fusion, 2, None, 100.0).scale_sigma < 0.1
    assert joined(fusion, 3, None, 140.0).scale_sigma > 0.4
    found = joined(fusion, 4, message(4 * SECOND, 1.0, frame='depth' + 10_000 * '\nd'), 140.0)
    assert found.scale_sigma > 0.4 and not (found.depth_source == 2).any()
    problem = fusion.hints.problem
    assert fusion.hints.counts['unusable'] == 1 and "frame 'depth" in problem
    assert '\n' not in problem and len(problem) < 400, 'a frame in a message is quoted'


@pytest.mark.parametrize('second', ['another publisher', 'another frame', 'another size'])
def test_hints_of_two_depth_cameras_in_turn_are_none_and_raise_and_teach_no_scale(second):
    """Both had been joined in: the metres were the one's or the other's, as it came."""
    fusion = HintFusion(DepthHints('/d'), Mock())
    assert joined(fusion, 1, message(SECOND), 100.0).scale_sigma < 0.1
    assert not fusion.contradiction
    for stamp in range(12 * SECOND, 12 * SECOND + 5):
        other = message(stamp, 1.2, 'rear' if second == 'another frame' else 'colour')
        if second == 'another size':
            other.width, other.step, other.data = 64, 256, bytes(96 * 256)
        fusion.hints.update(other, second == 'another publisher')
        fusion.hints.update(message(stamp + 10))
    assert fusion.contradiction.startswith('depth hint: on /d ')
    assert 'do two cameras send there?' in fusion.contradiction
    found = joined(fusion, 12, None, 100.0)
    assert not (found.depth_source == 2).any() and found.scale_sigma > 0.35
    assert fusion.hints.counts['used'] == 1 and fusion.hints.counts['unusable'] == 1


def test_one_depth_camera_is_believed_again_some_seconds_after_the_other_has_gone(monkeypatch):
    monkeypatch.setattr(one_camera, 'APART_S', 0.1)
    fusion = HintFusion(DepthHints('/d'), Mock())
    fusion.hints.update(message(SECOND), True)
    joined(fusion, 1, None, 100.0)
    assert fusion.contradiction
    time.sleep(0.12)
    assert (joined(fusion, 2, message(2 * SECOND), 100.0).depth_source == 2).all()
    assert not fusion.contradiction


def test_what_did_not_hold_of_a_file_does_not_hold_on_another_backend():
    fusion = HintFusion(DepthHints('/d'), Mock())
    for _ in range(300):
        fusion._watch = fusion._watch.after(np.full(500, 0.5), np.full(500, 0.08), 1.0)
    assert fusion.problem
    assert fusion.another_network(same_file=True).problem == fusion.problem
    assert not fusion.another_network(same_file=False).problem


def test_another_model_takes_no_contradiction_back_and_no_frozen_pixels_for_new_ones():
    old = HintFusion(DepthHints('/d'), Mock())
    new = old.another_network(same_file=False)
    # The last image of the old network ends when the new one is there already.
    assert joined(old, 1, message(SECOND), 100.0).scale_sigma < 0.1
    joined(old, 2, message(2 * SECOND, 0.02), 100.0)
    assert joined(new, 3, None, 100.0).scale_sigma > 0.4 and new.contradiction
    assert not (joined(new, 4, message(4 * SECOND, 0.02), 100.0, 130).depth_source == 2).any()
    assert new.hints.counts['frozen'] == 1 and new.contradiction
    assert (joined(new, 5, message(5 * SECOND), 100.0).depth_source == 2).all()
    assert not new.contradiction


def test_only_a_hint_that_is_believed_takes_a_contradiction_back():
    """One that is far farther is refused as well: it says nothing for the way being free."""
    fusion = HintFusion(DepthHints('/d'), Mock())
    for sec, metres, contradicted in ((1, 60.0, False), (2, 2.0, False), (3, 0.02, True),
                                      (4, 60.0, True), (5, 0.0, True), (6, 2.0, False)):
        joined(fusion, sec, message(sec * SECOND, metres), 100.0, 90 + 9 * sec)
        assert bool(fusion.contradiction) is contradicted, sec


def test_each_way_to_be_no_hint_is_counted_by_its_own_name():
    fusion = HintFusion(DepthHints('/d'), Mock())
    assert (joined(fusion, 1, message(SECOND), 100.0).depth_source == 2).all()
    for sec, metres, cause in ((2, 0.02, 'refused'), (3, 0.0, 'empty')):
        found = joined(fusion, sec, message(sec * SECOND, metres), 100.0)
        assert not (found.depth_source == 2).any()
        assert fusion.hints.counts[cause] == 1 and fusion.hints.problem
    assert fusion.hints.counts['used'] == 1 and fusion.hints.counts['unusable'] == 0
    assert {f'depth_hint_{cause}' for cause in ('refused', 'empty', 'frozen')} < set(fusion.values)


def test_a_frozen_depth_camera_is_no_hint_once_the_picture_has_moved():
    fusion = HintFusion(DepthHints('/d'), Mock())
    for sec, grey, there in ((1, 90, True), (2, 91, True), (3, 120, False), (4, 120, False)):
        found = joined(fusion, sec, message(sec * SECOND), 100.0, grey)
        assert (found.depth_source == 2).any() == there
    assert fusion.hints.counts['frozen'] == 2 and 'frozen?' in fusion.hints.problem
    # Held: what it said before is as much as there is to know.
    assert found.scale.factor == pytest.approx(1.0, abs=0.05)
    assert (joined(fusion, 5, message(5 * SECOND, 2.1), 100.0, 130).depth_source == 2).all()
