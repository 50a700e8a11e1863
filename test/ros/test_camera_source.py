# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera_info an image takes, and that a calibration is the same as a message."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.judgement import judge
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.camera_source import CameraSource
from node_bench import camera_info
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header


@pytest.mark.parametrize('roi', [
    RegionOfInterest(), RegionOfInterest(x_offset=3, y_offset=4, width=20, height=16,
                                         do_rectify=True)])
def test_message_to_calibration_and_back_is_the_same_message(roi):
    message = camera_info(fx=50.0, p_fx=40.0, d=(0.1, 0.0, -0.2, 0.0, 0.0))
    message.distortion_model, message.roi = 'rational_polynomial', roi
    message.binning_x, message.binning_y = 2, 4
    message.header = Header(frame_id='f', stamp=Time(sec=3, nanosec=4))
    back = to_camera_info(from_message(message), message.header)
    assert back == message


def test_an_empty_message_is_an_uncalibrated_camera():
    assert judge(from_message(CameraInfo()), 64, 48, rectified=False).camera is None


def test_newest_camera_info_wins_and_its_absence_is_explained():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    assert source.camera_for(64, 48, use=True) is None
    assert source.problem == 'no camera_info on /cam/camera_info'
    source.update(camera_info(fx=50.0))
    source.update(camera_info(fx=60.0))
    camera = source.camera_for(64, 48, use=True)
    assert camera is not None and camera.fx == 60.0 and source.problem == ''
    assert source.camera_for(64, 48, use=False) is None and 'use_camera_info' in source.problem


def test_a_camera_info_that_cannot_be_used_is_named_by_its_topic():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    source.update(camera_info(32, 24))
    assert source.camera_for(64, 48, use=True) is None
    assert source.problem.startswith(
        'camera_info on /cam/camera_info is for 32x24, the image is 64x48: resize')
    source.update(camera_info(fx=0.0))
    assert source.camera_for(64, 48, use=True) is None
    assert source.problem.startswith('camera_info on /cam/camera_info is not calibrated: K has fx')


def test_an_image_takes_the_camera_info_of_its_own_stamp():
    """A camera that zooms: the next frame's focal length must not scale this frame's depth."""
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for second, fx in ((1, 50.0), (2, 60.0)):
        info = camera_info(fx=fx)
        info.header.stamp.sec = second
        source.update(info)
    found = [source.camera_for(64, 48, use=True, stamp=Time(sec=sec)) for sec in (1, 2, 3)]
    assert [camera.fx for camera in found] == [50.0, 60.0, 60.0]


def stamped(sec: int, **values) -> CameraInfo:
    info = camera_info(**values)
    info.header.stamp.sec = sec
    return info


def test_a_camera_info_that_comes_after_its_image_is_late_where_it_is_another():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    assert source.camera_for(64, 48, use=True, stamp=Time(sec=1)) is None
    source.update(stamped(1, fx=50.0))
    assert not source.came_late(Time(sec=1)), 'its metres are withheld already'
    for sec, fx, late in ((2, 50.0, False), (3, 60.0, True)):
        assert source.camera_for(64, 48, use=True, stamp=Time(sec=sec)).fx == 50.0
        assert not source.came_late(Time(sec=sec))
        source.update(stamped(sec, fx=fx))
        source.update(stamped(9, fx=70.0))
        assert source.came_late(Time(sec=sec)) is late
        assert source.camera_for(64, 48, use=True, stamp=Time(sec=sec)).fx == fx
        assert not source.came_late(Time(sec=sec)) and not source.came_late(Time())
        source.update(stamped(2, fx=50.0))
    assert source.camera_for(64, 48, use=False, stamp=Time(sec=9)) is None
    assert not source.came_late(Time(sec=9))


def test_different_camera_infos_of_one_stamp_are_no_calibration():
    """Two cameras send on one topic: whose focal length it is nobody knows."""
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for _ in range(2):  # Latched too, as it was.
        source.update(stamped(1, fx=50.0))
    assert source.camera_for(64, 48, use=True, stamp=Time(sec=1)).fx == 50.0
    source.update(stamped(1, fx=80.0))
    assert source.came_late(Time(sec=1))
    assert source.camera_for(64, 48, use=True, stamp=Time(sec=1)) is None
    assert source.problem.startswith(
        'camera_info on /cam/camera_info has 2 different ones of one stamp')
    assert not source.came_late(Time(sec=1))
    for _ in range(2):
        source.update(stamped(2, fx=float('nan')))
    assert source.camera_for(64, 48, use=True, stamp=Time(sec=2)) is None
    assert 'is not calibrated' in source.problem


@pytest.mark.parametrize('image_stamp', [Time(), Time(sec=7)])
def test_of_camera_infos_without_stamps_the_newest_counts_and_it_is_said(image_stamp):
    """A camera that zooms to 60: not the first of all that "have the stamp" 0."""
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for fx in (50.0, 55.0, 60.0):
        source.update(camera_info(fx=fx))
        assert source.camera_for(64, 48, use=True, stamp=image_stamp).fx == fx
    assert source.warnings.startswith('camera_info on /cam/camera_info has stamp 0: the newest')


def test_an_image_without_a_stamp_takes_the_newest_camera_info():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for second, fx in ((0, 50.0), (1, 60.0), (2, 65.0)):
        info = camera_info(fx=fx)
        info.header.stamp.sec = second
        source.update(info)
    assert source.camera_for(64, 48, use=True, stamp=Time()).fx == 65.0
    assert source.warnings == ''


def test_what_is_odd_about_a_camera_info_that_is_used_is_told():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    info = camera_info(fx=50.0, p_fx=200.0, d=(0.1, 0.0, 0.0, 0.0, 0.0))
    info.header.stamp.sec = 1
    source.update(info)
    camera = source.camera_for(64, 48, use=True, rectify='never')
    assert camera.fx == 50.0 and source.problem == ''
    assert 'fx 50 in K and 200 in P' in source.warnings and 'distortion' in source.warnings


def test_a_stream_that_ended_is_told_and_one_latched_or_slow_info_is_none():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for _ in range(9):
        source.update(camera_info())  # latched: nobody knows when they were sent
    assert source.ended(1e6) == ''
    for second in range(8):
        source.update(camera_info(), 10.0 * second)
        assert source.ended(10.0 * second + 9.0) == ''
    assert 'came every 10 s and has not come for 60 s' in source.ended(130.0)
    source.update(camera_info(), 131.0)
    assert source.ended(132.0) == ''


def test_a_stated_field_of_view_stands_in_for_what_is_missing_and_says_so():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for width, height in ((64, 48), (640, 480)):
        camera = source.camera_for(width, height, use=True, fallback_hfov_deg=90.0)
        assert camera.fx == camera.fy == pytest.approx(width / 2) and source.fallback
        assert source.warnings == ('no camera_info on /cam/camera_info: fallback_hfov_deg 90 is '
                                   'used in its place')
    source.update(camera_info(fx=60.0))
    assert source.camera_for(64, 48, use=True, fallback_hfov_deg=90.0).fx == 60.0
    assert not source.fallback
    assert source.camera_for(64, 48, use=False, fallback_hfov_deg=90.0).fx == pytest.approx(32)


def test_no_field_of_view_stands_in_for_a_lens_that_is_known_to_distort():
    """D is the lens's at any resolution: metres of a guess would be wrong towards the edges."""
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    source.update(camera_info(d=(-0.3, 0.1, 0.0, 0.0, 0.0)))
    assert source.camera_for(128, 96, use=True, fallback_hfov_deg=90.0) is None
    assert 'is for 64x48' in source.problem and not source.fallback
    # Who wants it all the same says so.
    camera = source.camera_for(128, 96, use=True, fallback_hfov_deg=90.0, rectify='never')
    assert camera.fx == pytest.approx(64) and source.fallback


@pytest.mark.parametrize(('frame', 'said'), [
    ('infra_frame', True), ('color_frame', False), ('/color_frame', False), ('', False),
    ('a\nb' * 5000, True)])
def test_a_camera_info_of_another_frame_is_said(frame, said):
    """The infrared camera's has the same size, and another focal length."""
    source = CameraSource('/color/image_raw', '/infra/camera_info')
    info = camera_info()
    info.header.frame_id, info.header.stamp.sec = frame, 1
    source.update(info)
    assert source.camera_for(64, 48, use=True, frame_id='color_frame') is not None
    assert ("another camera's" in source.warnings) is said
    assert '\n' not in source.warnings and len(source.warnings) < 400


def told(source, *given, since_s=0.0):
    """Tell a source of lenses, (stamp, fx) each, so long ago; return what an image then gets."""
    for sec, fx in given:
        info = camera_info(fx=fx)
        info.header.stamp.sec = sec
        source.update(info, None if since_s is None else time.monotonic() - since_s)
    return source.camera_for(64, 48, use=True, stamp=Time(sec=9, nanosec=5))


@pytest.mark.parametrize('stamps', [range(1, 30), [0] * 30, [7] * 30])
@pytest.mark.parametrize('more', [1, 6])  # Of the one camera for each of the other's.
def test_two_who_tell_different_lenses_in_turn_are_none_for_an_image_that_has_none_of_its_own(
        stamps, more):
    """The metres would be by the one or the other, as it comes, and nothing would say so."""
    source, stamps = CameraSource('/cam/image_raw', '/cam/camera_info'), iter(stamps)

    def both():
        return told(source, *((next(stamps), 50.0) for _ in range(more)), (next(stamps), 100.0))
    assert both() is not None and both() is not None, 'zoomed in and out'
    assert told(source, (next(stamps), 50.0)) is None
    assert 'different ones in turn' in source.problem
    own = Time(sec=31)
    assert not source.came_late(own)
    assert told(source, (31, 60.0)) is None and source.came_late(own), 'its own has come since'
    found = source.camera_for(64, 48, use=True, stamp=own)
    assert found is not None and found.fx == 60.0, "an image's own counts"


@pytest.mark.parametrize(('senders', 'latched', 'streamed', 'words'), [
    ((1, 0), [50.0, 100.0], [], ''),  # One that was calibrated anew: the last counts.
    ((2, 0), [50.0, 100.0], [], 'different ones of several publishers'),
    ((2, 0), [50.0, 50.4], [], ''), ((2, 0), [50.0], [], ''),
    # One streams what it latches: the other's is no older for that.
    ((2, 0), [100.0, 50.0, 50.0, 50.0], [], 'different ones of several publishers'),
    ((2, 0), [50.0, 50.4, 50.0, 50.4], [], ''),
    ((1, 1), [50.0], [100.0], 'different ones of several publishers'),
    ((1, 1), [50.0], [50.0], ''), ((1, 0), [50.0], [100.0], ''), ((0, 2), [50.0], [100.0], '')])
def test_publishers_that_latch_different_lenses_are_none_though_each_spoke_once(
        senders, latched, streamed, words):
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    source.note_senders(*senders)
    told(source, *((1, fx) for fx in latched), since_s=None)
    found = told(source, *((2, fx) for fx in streamed))
    assert (found is None) is bool(words) and words in source.problem
    own = Time(sec=9, nanosec=5)
    info = camera_info(fx=60.0)
    info.header.stamp = own
    source.update(info)
    found = source.camera_for(64, 48, use=True, stamp=own)
    assert found is not None and found.fx == 60.0, "an image's own counts"


def test_when_one_of_two_that_differed_has_gone_the_other_is_asked_again():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    assert not source.note_senders(2, 0)
    assert told(source, (1, 50.0), (1, 100.0), since_s=None) is None
    assert not source.note_senders(2, 0) and source.note_senders(1, 0)
    assert told(source) is None and 'no camera_info' in source.problem
    assert told(source, (1, 50.0), since_s=None).fx == 50.0
    assert not source.note_senders(0, 0)
    assert told(source).fx == 50.0, 'it aged'


def test_whoever_of_two_streams_what_it_latches_the_other_is_asked_when_it_goes():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    source.note_senders(2, 0)
    assert told(source, (1, 100.0), *((2, 50.0) for _ in range(20)), since_s=None) is None
    assert source.note_senders(1, 0), 'the one that streams may be gone'


def test_of_one_that_has_zoomed_and_a_second_that_says_the_same_no_word_is_old():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    source.note_senders(1, 0)
    assert told(source, (1, 50.0), (1, 60.0), since_s=None).fx == 60.0
    assert source.note_senders(2, 0), 'both are to be asked'
    assert told(source, (1, 60.0), (1, 60.0), since_s=None).fx == 60.0
    assert not source.note_senders(2, 0)


@pytest.mark.parametrize(('lenses', 'since_s'), [
    ([50.0, 60.0, 70.0, 60.0, 50.0], 0.0),  # In steps, and back.
    ([50.0, 100.0, 50.0, 100.0, 50.0, 100.0], 5.1),  # Long ago.
    ([50.0, 50.4, 50.0, 50.4, 50.0, 50.4], 0.0),  # An encoder's noise.
    ([50.0, 100.0, 50.0, 100.0, 50.0, 100.0], None)])  # Latched, and heard twice.
@pytest.mark.parametrize('stamped', [True, False])
def test_a_lens_that_zooms_is_no_second_camera(lenses, since_s, stamped):
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    found = told(source, *((index + 1 if stamped else 0, fx)
                           for index, fx in enumerate(lenses)), since_s=since_s)
    assert found is not None and found.fx == lenses[-1]
