# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The replay camera: what it publishes, what it never invents, and bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
import shutil
import signal
import struct
import subprocess
import time
from typing import Any

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='NOT TESTED: no ROS 2 here')

from emu_perception.cameras.calibration import from_message, pinhole_info  # noqa: E402, I100
from emu_perception.cameras.calibration_files import write_calibration  # noqa: E402
from emu_perception.cameras.judgement import judge  # noqa: E402
from emu_perception.cameras.opening import open_source  # noqa: E402
from emu_perception.errors import InputError  # noqa: E402
from emu_perception.recordings.messages import Header  # noqa: E402
from emu_perception.recordings.writer import RecordingWriter  # noqa: E402
from emu_perception.ros.demo.processes import executable  # noqa: E402
from emu_perception.ros.replay_camera import ReplayCamera  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402


class Recorder:
    """Takes the place of a publisher."""

    topic_name = ''

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        """Keep the message."""
        self.messages.append(message)


@pytest.fixture
def camera(ros: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ReplayCamera]]:
    """Return a function that makes a replay camera whose messages are kept in ``sent``."""
    made: list[ReplayCamera] = []

    def make(**parameters: Any) -> ReplayCamera:
        overrides = [Parameter(name, value=value) for name, value in
                     {'step': True, 'loop': False, **parameters}.items()]
        node = ReplayCamera(parameter_overrides=overrides)
        node.sent = {'image': Recorder(), 'info': Recorder()}  # type: ignore[attr-defined]
        node._image_publisher = node.sent['image']  # type: ignore[attr-defined]
        node._info_publisher = node.sent['info']  # type: ignore[attr-defined]
        made.append(node)
        return node
    yield make
    for node in made:
        node.destroy_node()


def infos(node: ReplayCamera) -> list[CameraInfo]:
    """Publish everything and return the camera_infos."""
    while node.publish_next():
        pass
    return node.sent['info'].messages  # type: ignore[attr-defined]


def test_images_in_order_with_their_pixels(camera: Callable[..., ReplayCamera],
                                           image_folder: Path) -> None:
    """Names sorted, rgb (not bgr), stamp and optical frame set."""
    node = camera(source=str(image_folder))
    names = []
    while (published := node.publish_next()) is not None:
        names.append(published[0])
    assert names == ['a.png', 'b.jpg', 'c.png']
    first: Image = node.sent['image'].messages[0]  # type: ignore[attr-defined]
    assert (first.encoding, first.height, first.width, first.step) == ('rgb8', 96, 128, 384)
    assert first.header.frame_id.endswith('_optical_frame') and first.header.stamp.sec > 0
    expected = cv2.imread(str(image_folder / 'a.png'))[..., ::-1]
    assert bytes(first.data) == np.ascontiguousarray(expected).tobytes()


def test_no_calibration_no_camera_info(camera: Callable[..., ReplayCamera],
                                       image_folder: Path) -> None:
    """An invented camera_info would give wrong metres without anyone knowing."""
    assert infos(camera(source=str(image_folder))) == []


def test_calibration_of_another_size_is_not_used(camera: Callable[..., ReplayCamera],
                                                 image_folder: Path) -> None:
    """The size must agree, else one line and no camera_info."""
    file = image_folder / 'calibration.yaml'
    write_calibration(file, pinhole_info(640, 480, 500.0, 500.0, 320.0, 240.0))
    assert infos(camera(source=str(image_folder), camera_info_file=str(file))) == []


def test_calibration_beside_an_image_is_that_images(camera: Callable[..., ReplayCamera],
                                                    image_folder: Path) -> None:
    """Only b.jpg is calibrated: the other two go out without; stamps are the image's."""
    write_calibration(image_folder / 'b.yaml', pinhole_info(128, 96, 111.0, 112.0, 63.0, 47.0))
    node = camera(source=str(image_folder))
    (info,) = infos(node)
    assert list(info.k[:6]) == [111.0, 0.0, 63.0, 0.0, 112.0, 47.0]
    image = node.sent['image'].messages[1]  # type: ignore[attr-defined]
    assert info.header == image.header


def test_an_image_that_exif_turns_goes_out_without_the_calibration_of_its_file(
        camera: Callable[..., ReplayCamera], tmp_path: Path) -> None:
    """Turned upside down its principal point is elsewhere; its metres would be shifted."""
    block = (b'II*\0' + struct.pack('<IH', 8, 1) + struct.pack('<HHIHH', 0x112, 3, 1, 3, 0))
    data = cv2.imencode('.jpg', np.zeros((96, 128, 3), np.uint8))[1].tobytes()
    for name, exif in (('a', b''), ('b', b'\xff\xe1' + struct.pack('>H', 8 + len(block))
                                   + b'Exif\0\0' + block)):
        (tmp_path / f'{name}.jpg').write_bytes(data[:2] + exif + data[2:])
        write_calibration(tmp_path / f'{name}.yaml', pinhole_info(128, 96, 111.0))
    node = camera(source=str(tmp_path))
    info, = infos(node)
    assert len(node.sent['image'].messages) == 2  # type: ignore[attr-defined]
    assert info.header == node.sent['image'].messages[0].header  # type: ignore[attr-defined]


def test_numbers_in_names_count_as_numbers(camera: Callable[..., ReplayCamera],
                                           image_folder: Path) -> None:
    """10 comes after 2, as in emu_run: a recording played in another order is another one."""
    for name in ('10', '9', '2'):
        shutil.copy(image_folder / 'a.png', image_folder / f'{name}.png')
    node = camera(source=str(image_folder))
    assert [node.publish_next()[0] for _ in range(3)] == [  # type: ignore[index]
        '2.png', '9.png', '10.png']


@pytest.mark.parametrize('given', ['', 'image'])
def test_data_set_root_and_its_image_folder_bring_the_intrinsics(
        camera: Callable[..., ReplayCamera], image_folder: Path, tmp_path: Path,
        given: str) -> None:
    """dataset.yaml's intrinsics are the camera of every image."""
    root = tmp_path / 'set'
    root.mkdir()
    image_folder.rename(root / 'image')
    (root / 'dataset.yaml').write_text(
        'intrinsics: {width: 128, height: 96, fx: 100.0, fy: 101.0, cx: 63.5, cy: 47.5}\n')
    received = infos(camera(source=str(root / given)))
    assert len(received) == 3 and received[0].k[0] == 100.0


def test_large_images_shrink_together_with_their_calibration(
        camera: Callable[..., ReplayCamera], image_folder: Path) -> None:
    """Half the pixels, half the focal length."""
    write_calibration(image_folder / 'a.yaml', pinhole_info(128, 96, 100.0, 100.0, 63.5, 47.5))
    node = camera(source=str(image_folder / 'a.png'), max_side=64)
    (info,) = infos(node)
    assert (info.width, info.height, info.k[0], info.k[2]) == (64, 48, 50.0, 31.5)
    assert node.sent['image'].messages[0].width == 64  # type: ignore[attr-defined]


def test_unreadable_file_is_skipped_and_counted(camera: Callable[..., ReplayCamera],
                                                image_folder: Path) -> None:
    """One bad file must not end the camera, nor stop it for a round."""
    (image_folder / 'a.png').write_bytes(b'no image')
    (image_folder / 'b.jpg').write_bytes((image_folder / 'c.png').read_bytes()[:40])
    node = camera(source=str(image_folder))
    assert node.publish_next()[0] == 'c.png'  # type: ignore[index]
    assert node.skipped == 2


def test_a_source_of_nothing_that_can_be_read_is_an_error_at_its_end(
        camera: Callable[..., ReplayCamera], tmp_path: Path) -> None:
    """It said "0 published, 2 skipped" of one file, and a script's code was 0."""
    (tmp_path / 'text.jpg').write_text('hello')
    node = camera(source=str(tmp_path / 'text.jpg'), exit_at_end=True)
    assert node.publish_next() is None
    with pytest.raises(SystemExit) as end:
        node._at_end()
    assert end.value.code == 1


def test_a_cut_jpeg_is_skipped_and_not_filled_with_grey(camera: Callable[..., ReplayCamera],
                                                        image_folder: Path) -> None:
    """OpenCV would fill what is missing, and the node would see a picture that never was."""
    data = (image_folder / 'b.jpg').read_bytes()
    (image_folder / 'b.jpg').write_bytes(data[:len(data) // 2])
    node = camera(source=str(image_folder))
    assert [node.publish_next()[0] for _ in range(2)] == ['a.png', 'c.png']  # type: ignore[index]
    assert node.skipped == 1


def test_folder_without_one_readable_image_does_not_hang(
        camera: Callable[..., ReplayCamera], image_folder: Path) -> None:
    """A loop over nothing readable must give the executor back."""
    for file in image_folder.iterdir():
        file.write_bytes(b'')
    assert camera(source=str(image_folder), loop=True).publish_next() is None


def test_compressed_transport_can_be_decoded(camera: Callable[..., ReplayCamera],
                                             image_folder: Path) -> None:
    """JPEG with a format string that names it."""
    node = camera(source=str(image_folder), transport='compressed')
    node.publish_next()
    message: CompressedImage = node.sent['image'].messages[0]  # type: ignore[attr-defined]
    picture = cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_COLOR)
    assert 'jpeg' in message.format and picture.shape == (96, 128, 3)
    node.publish_next()
    message = node.sent['image'].messages[1]  # type: ignore[attr-defined]
    assert bytes(message.data) == (image_folder / 'b.jpg').read_bytes(), 'encoded a second time'


def test_video_is_replayed_and_starts_over(camera: Callable[..., ReplayCamera],
                                           tmp_path: Path) -> None:
    """The frames of a video file, in a loop."""
    file = str(tmp_path / 'video.avi')
    writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (64, 48))
    if not writer.isOpened():
        pytest.skip('NOT TESTED: this OpenCV cannot write videos')
    for value in (0, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    with open_source(file, 10.0) as source:
        assert source.rate_hz == pytest.approx(5.0)
    node = camera(source=file, loop=True)
    assert [node.publish_next()[0] for _ in range(4)] == [  # type: ignore[index]
        '000000', '000001', '000002', '000000']


def write_bag(path: Path) -> None:
    """Write a bag of two images, of the seconds 1 and 2, each with a calibration of its own."""
    bag = RecordingWriter(path)
    for index in range(2):
        header = Header(10**9 * (1 + index), 'cam')
        pixels = np.full((48, 64, 3), 100 * index, np.uint8)
        info = bag.make.camera_info(pinhole_info(64, 48, 50.0 + index), header)
        bag.write('/cam/image_raw', bag.make.image(pixels, 'rgb8', header), header.stamp_ns)
        bag.write('/cam/camera_info', info, header.stamp_ns + 1)
    bag.close()


def test_a_bag_is_replayed_with_its_calibration(camera: Callable[..., ReplayCamera],
                                                tmp_path: Path) -> None:
    """As emu_run reads it: each image with the camera_info of its stamp, in a loop."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    write_bag(tmp_path / 'bag')
    node = camera(source=str(tmp_path / 'bag'), loop=True)
    assert [node.publish_next()[0] for _ in range(3)] == [  # type: ignore[index]
        '1.000000000', '2.000000000', '1.000000000']
    sent = node.sent  # type: ignore[attr-defined]
    assert [message.data[0] for message in sent['image'].messages] == [0, 100, 0]
    assert [message.k[0] for message in sent['info'].messages] == [50.0, 51.0, 50.0]


@pytest.mark.parametrize(('recorded', 'published_rect'), [
    ('image_rect', False), ('image_rect', True), ('image_raw', False), ('image_raw', True)])
def test_who_reads_the_replay_knows_whether_it_is_rectified(
        camera: Callable[..., ReplayCamera], tmp_path: Path, recorded: str,
        published_rect: bool) -> None:
    """By the name of its topic: what is rectified is not so again, and what is not is at last."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    lens = replace(pinhole_info(64, 48, 50.0), p=pinhole_info(64, 48, 48.0).p,
                   d=(-0.2, 0.0, 0.0, 0.0, 0.0))
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    bag, header = RecordingWriter(tmp_path / 'bag'), Header(10**9, 'cam')
    bag.write('/cam/camera_info', bag.make.camera_info(lens, header), header.stamp_ns)
    bag.write(f'/cam/{recorded}', bag.make.image(pixels, 'rgb8', header), header.stamp_ns)
    bag.close()
    node = camera(source=str(tmp_path / 'bag'))
    node._rectified = published_rect
    (info,) = infos(node)
    (image,) = node.sent['image'].messages  # type: ignore[attr-defined]
    reader = judge(from_message(info), 64, 48, rectified=published_rect,
                   rectify=not published_rect).needed()
    shown = reader.rectified(np.frombuffer(image.data, np.uint8).reshape(48, 64, 3))
    maps = judge(lens, 64, 48, rectified=False, rectify=True).needed().rectification
    assert maps is not None and reader.fx == maps.view.pinhole.fx == 48.0
    np.testing.assert_array_equal(shown, maps.image(pixels) if 'raw' in recorded else pixels)


def test_a_recording_in_a_folder_named_rect_is_replayed_without_a_camera(
        camera: Callable[..., ReplayCamera], tmp_path: Path) -> None:
    """Under a name that is plain it would get a meaning that nobody has given it."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    lens = replace(pinhole_info(64, 48, 50.0), d=(-0.2, 0.0, 0.0, 0.0, 0.0))
    bag, header = RecordingWriter(tmp_path / 'bag'), Header(10**9, 'cam')
    bag.write('/rect/camera_info', bag.make.camera_info(lens, header), header.stamp_ns)
    bag.write('/rect/image', bag.make.image(np.zeros((48, 64, 3), np.uint8), 'rgb8', header),
              header.stamp_ns)
    bag.close()
    node = camera(source=str(tmp_path / 'bag'))
    assert infos(node) == []
    assert len(node.sent['image'].messages) == 1  # type: ignore[attr-defined]


def test_a_parameter_that_is_none_is_said(camera: Callable[..., ReplayCamera], image_folder: Path,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    """ROS drops it: who misspells the rate sees another rate, and nothing else."""
    camera(source=str(image_folder), rate=5.0, use_sim_time=False)
    said = [line for line in capfd.readouterr().err.splitlines() if 'was set' in line]
    assert len(said) == 1 and "'rate' was set" in said[0] and "did you mean 'rate_hz'?" in said[0]


@pytest.mark.parametrize(('parameters', 'words'), [
    ({'source': '/nowhere/at/all'}, 'source /nowhere/at/all: no such file'),
    ({'source': ''}, 'source is empty'),
    ({'source': '/dev/null'}, 'cannot open'),
    ({'rate_hz': -1.0}, 'rate_hz'),
    ({'transport': 'telepathy'}, 'raw, compressed'),
    ({'reliability': 'never'}, 'best_effort'),
    ({'camera_info_file': '/nowhere.yaml'}, '/nowhere.yaml'),
    ({'image_topic': '/cam'}, 'is for a ROS 2 bag'),
])
def test_what_cannot_be_used_is_refused_by_name(
        camera: Callable[..., ReplayCamera], image_folder: Path, parameters: dict[str, Any],
        words: str) -> None:
    """The message names the parameter or path."""
    with pytest.raises(InputError, match=words):
        camera(**{'source': str(image_folder), **parameters})


@pytest.mark.system
def test_wrong_path_ends_with_one_line_and_exit_code_1(environment: dict[str, str]) -> None:
    """Not a traceback."""
    done = subprocess.run([str(executable('replay_camera')), '--ros-args', '-p',
                           'source:=/nowhere/at/all'], env=environment, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        'replay_camera: source /nowhere/at/all: no such file or folder']


def test_an_end_that_a_loop_never_reaches_is_said(camera: Callable[..., ReplayCamera],
                                                  image_folder: Path, capfd) -> None:
    for loop in (True, False):
        camera(source=str(image_folder), exit_at_end=True, loop=loop)
        assert ('exit_at_end is set, and loop' in capfd.readouterr().err) is loop



@pytest.mark.system
def test_exit_at_end_ends_with_code_0(environment: dict[str, str], image_folder: Path) -> None:
    """For scripts that wait for the end of a replay."""
    done = subprocess.run(
        [str(executable('replay_camera')), '--ros-args', '-p', f'source:={image_folder}',
         '-p', 'loop:=false', '-p', 'exit_at_end:=true', '-p', 'rate_hz:=50'],
        env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '3 published, 0 skipped' in done.stderr + done.stdout


@pytest.mark.system
@pytest.mark.parametrize('gap_s', [0.0, 0.02, 0.2])
def test_ctrl_c_twice_ends_with_code_0_and_no_traceback(
        environment: dict[str, str], image_folder: Path, gap_s: float) -> None:
    """The terminal tells every process, and ros2 launch tells its own once more."""
    process = subprocess.Popen(
        [str(executable('replay_camera')), '--ros-args', '-p', f'source:={image_folder}'],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert 'Hz on' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(gap_s)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and 'Traceback' not in said, said


def test_nothing_is_published_until_somebody_listens(ros: None, image_folder: Path) -> None:
    """A video at full rate would be over before a node is awake."""
    node = ReplayCamera(parameter_overrides=[Parameter(name, value=value) for name, value in {
        'source': str(image_folder), 'rate_hz': 50.0, 'loop': False,
        'wait_for_listener': True}.items()])
    late = rclpy.create_node('late')
    executor = rclpy.executors.SingleThreadedExecutor()
    for one in (node, late):
        executor.add_node(one)
    try:
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.1)
        assert node.published == 0
        received: list[Image] = []
        late.create_subscription(Image, 'image', received.append, 10)
        end_s = time.monotonic() + 20.0
        while len(received) < 3 and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.1)
        assert len(received) == 3, 'the first frames too'
    finally:
        executor.shutdown()
        node.destroy_node()
        late.destroy_node()


def test_clock_of_a_bag_comes_before_each_image_with_its_stamp(
        camera: Callable[..., ReplayCamera], tmp_path: Path) -> None:
    """What runs with use_sim_time lives in the time of the recording."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    write_bag(tmp_path / 'bag')
    node = camera(source=str(tmp_path / 'bag'), clock=True)
    clock = Recorder()
    node._clock_publisher = clock  # type: ignore[assignment]
    while node.publish_next() is not None:
        pass
    stamps = [image.header.stamp for image in node.sent['image'].messages]  # type: ignore[attr-defined]
    assert len(stamps) > 1 and [one.clock for one in clock.messages] == stamps
    assert stamps[0].sec < 1_000_000_000, 'the stamps of the bag, not of now'


def test_who_makes_the_clock_does_not_wait_for_it(
        camera: Callable[..., ReplayCamera], tmp_path: Path) -> None:
    """With use_sim_time, which all else of a simulation has, it sent nothing, and said nothing."""
    pytest.importorskip('rosbags', reason='NOT TESTED: rosbags is not installed')
    write_bag(tmp_path / 'bag')
    node = camera(source=str(tmp_path / 'bag'), clock=True, use_sim_time=True, step=False)
    end_s = time.monotonic() + 20.0
    while not node.published and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    assert node.published


def test_clock_of_what_has_no_stamps_is_refused(camera: Callable[..., ReplayCamera],
                                                image_folder: Path) -> None:
    """Made-up stamps would pass for the recording's."""
    with pytest.raises(InputError, match='parameter clock is set, but .* have no stamps'):
        camera(source=str(image_folder), clock=True)
