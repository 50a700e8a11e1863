# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Bags (sqlite3 and MCAP, written by rosbags) become the right folder; their faults one line."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path
import signal
from types import SimpleNamespace
from typing import Any

import cv2
from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.judgement import judge
from emu_perception.intrinsics import Intrinsics
from emu_perception.prediction import Prediction
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from training.data.dataset_folder import DatasetFolder
from training.prepare import bag as prepared_bag
from training.prepare import bag_filled
from training.prepare.__main__ import main
from training.prepare.stamps import match_stamps

STORE = get_typestore(Stores.ROS2_JAZZY)
WIDTH, HEIGHT, RATE = 16, 12, 10  # Pixels; images a second.
IMAGE, DEPTH, INFO, LABEL = '/cam/image_raw', '/cam/depth', '/cam/camera_info', '/cam/label'
RGB = (200, 100, 50)


def make(name: str, **values: Any) -> Any:
    """Make a message of sensor_msgs."""
    return STORE.types[f'sensor_msgs/msg/{name}'](**values)


def header(stamp_s: float) -> Any:
    """Make a header."""
    nanoseconds = round(stamp_s * 1e9)
    stamp = STORE.types['builtin_interfaces/msg/Time'](*divmod(nanoseconds, 10**9))
    return STORE.types['std_msgs/msg/Header'](stamp=stamp, frame_id='cam')


def image(pixels: np.ndarray, encoding: str, stamp_s: float = 0.0, padding: int = 0,
          big_endian: bool = False) -> Any:
    """Make an Image whose rows end in padding bytes."""
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    rows = np.pad(rows.reshape(len(pixels), -1), ((0, 0), (0, padding)), constant_values=77)
    return make('Image', header=header(stamp_s), height=pixels.shape[0], width=pixels.shape[1],
                encoding=encoding, is_bigendian=int(big_endian), step=rows.shape[1],
                data=rows.ravel())


def packed(data: bytes, form: str, stamp_s: float = 0.0) -> Any:
    """Make a CompressedImage."""
    return make('CompressedImage', header=header(stamp_s), format=form,
                data=np.frombuffer(data, np.uint8))


def camera_info(distortion: float = 0.0, width: int = WIDTH) -> Any:
    """Make a CameraInfo with K (fx 20) and P (fx 19)."""
    k = np.array([20.0, 0, 8, 0, 21, 6, 0, 0, 1])
    p = np.array([19.0, 0, 7, 0, 0, 19, 5, 0, 0, 0, 1, 0])
    roi = make('RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make('CameraInfo', header=header(0.0), height=HEIGHT, width=width,
                distortion_model='plumb_bob', d=np.full(5, distortion), k=k, r=np.eye(3).ravel(),
                p=p, binning_x=0, binning_y=0, roi=roi)


def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rgb, whose green tells the index, and depth in mm, which does too; a hole at 0, 0."""
    rgb = np.full((HEIGHT, WIDTH, 3), RGB, np.uint8)
    rgb[..., 1] = index
    millimetres = np.full((HEIGHT, WIDTH), 1000 + index, np.uint16)
    millimetres[0, 0] = 0
    return rgb, millimetres


def write_bag(path: Path, messages: list[tuple[str, Any]],
              plugin: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    """Write messages in this order, whatever their header stamps; returns the bag folder."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {}
        for index, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], 10**9 + index, STORE.serialize_cdr(message, kind))
    return path


def recording(count: int = 20, delay_s: float = 0.004,
              change: Callable[[int, Any], Any] = lambda _, message: message) -> list:
    """Return a recording: depth stamps come a little after the images', which come 10 a second."""
    messages = [(INFO, camera_info())]
    for index in range(count):
        rgb, millimetres = scene(index)
        stamp = 100 + index / RATE
        # Depth of this moment is recorded before its image, as it may be.
        messages += [(DEPTH, change(index, image(millimetres, '16UC1', stamp + delay_s))),
                     (IMAGE, image(rgb, 'rgb8', stamp))]
    return messages


def prepare(bag: Path, *more: str, image_topic: str = IMAGE, depth_topic: str = DEPTH) -> int:
    """Run the command; the folder is out beside the bag."""
    return main(['bag', str(bag), '--image-topic', image_topic, '--depth-topic', depth_topic,
                 '--out', str(bag.parent / 'out'), '--no-progress', *more])


@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize('as_file', [False, True])
def test_both_storages_give_pixels_metres_and_intrinsics(tmp_path, plugin, as_file):
    bag = write_bag(tmp_path / 'bag', recording(), plugin)
    if as_file:
        bag = next(path for path in bag.iterdir() if path.suffix in ('.db3', '.mcap'))
        bag = bag.rename(tmp_path / bag.name)
    assert prepare(bag) == 0
    folder = DatasetFolder(tmp_path / 'out')
    stems = folder.stems('train') + folder.stems('val')
    assert stems == [f'{(1000 + i) * 10**8:019d}' for i in range(20)]
    for index in (0, 19):
        example = folder.example(stems[index])
        assert example.image[5, 5].tolist() == [200, index, 50]
        assert example.depth[5, 5] == pytest.approx(1 + index / 1000), 'depth of another moment'
        assert example.depth[0, 0] == 0
    camera = folder.intrinsics
    assert (camera.width, camera.fx, camera.fy, camera.cx, camera.cy) == (16, 20, 21, 8, 6)
    assert folder.classes == ()


def test_validation_is_the_end_of_the_recording(tmp_path):
    bag = write_bag(tmp_path / 'bag', recording())
    assert prepare(bag, '--val-share', '0.25') == 0
    folder = DatasetFolder(tmp_path / 'out')
    assert len(folder.stems('val')) == 5 and len(folder.stems('train')) == 15
    assert max(folder.stems('train')) < min(folder.stems('val'))


def test_every_nth_matched_frame_is_kept(tmp_path):
    bag = write_bag(tmp_path / 'bag', recording())
    assert prepare(bag, '--every', '6', '--val-share', '0') == 0
    stems = DatasetFolder(tmp_path / 'out').stems('train')
    assert [int(stem) // 10**8 - 1000 for stem in stems] == [0, 6, 12, 18]
    assert not (tmp_path / 'out/val.txt').exists()


def test_images_without_depth_near_in_time_are_left_out(tmp_path):
    def late(index: int, message: Any) -> Any:
        message.header = header(100 + index / RATE + (0.03 if index % 2 else 0.01))
        return message
    bag = write_bag(tmp_path / 'bag', recording(change=late))
    assert prepare(bag, '--val-share', '0') == 0
    stems = DatasetFolder(tmp_path / 'out').stems('train')
    assert [int(stem) // 10**8 % 2 for stem in stems] == [0] * 10
    assert prepare(bag, '--max-stamp-difference', '0.04', '--val-share', '0', '--force') == 0
    assert len(DatasetFolder(tmp_path / 'out').stems('train')) == 20


@pytest.mark.parametrize('topic', [IMAGE, DEPTH])
def test_frames_of_one_stamp_are_not_lost_without_a_word(tmp_path, capsys, topic):
    """By its stamp a frame is paired and named: of twenty with stamp 0 one would be left."""
    def unstamped(messages: list) -> list:
        for name, message in messages:
            if name == topic:
                message.header = header(0.0)
        return messages
    assert prepare(write_bag(tmp_path / 'bag', unstamped(recording()))) == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1
    assert f"all 20 messages of '{topic}' have the header stamp 0.000000 s" in said
    assert not (tmp_path / 'out/dataset.yaml').exists()


def test_a_stamp_that_comes_again_is_said(tmp_path, caplog):
    def again(index: int, message: Any) -> Any:
        message.header = header(100 + index // 2 * 2 / RATE)
        return message
    assert prepare(write_bag(tmp_path / 'bag', recording(change=again))) == 0
    assert (f"10 of 20 messages of '{DEPTH}' have the header stamp of one before: they are left "
            'out') in caplog.text


def test_frames_without_any_depth_are_said_and_of_a_whole_recording_refused(
        tmp_path, capsys, caplog):
    def some(index: int, message: Any) -> Any:
        if index < 3:
            message.data = np.zeros_like(message.data)
        return message
    bag = write_bag(tmp_path / 'bag', recording(change=some))
    assert prepare(bag) == 0
    assert f"3 of 20 frames of '{DEPTH}' have no depth from 0.1 to 10 m" in caplog.text
    assert prepare(bag, '--force', '--max-depth', '0.9') == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and f"20 of 20 frames of '{DEPTH}' have no depth" in said
    assert not (tmp_path / 'out/dataset.yaml').exists(), 'there is nothing to learn from it'


def test_a_message_is_used_once_by_its_nearest():
    milliseconds = 10**6
    images = np.array([0, 33, 66, 99]) * milliseconds
    depths = np.array([30, 96, 400]) * milliseconds
    found = match_stamps(images, depths, 40 * milliseconds)
    assert found == {33 * milliseconds: 30 * milliseconds, 99 * milliseconds: 96 * milliseconds}
    assert match_stamps(images, depths[:1], 2 * milliseconds) == {}
    assert match_stamps(images, depths[:0], milliseconds) == {}


BGR = np.full((HEIGHT, WIDTH, 3), RGB[::-1], np.uint8)
JPEG = cv2.imencode('.jpg', BGR, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def test_nan_and_depth_beyond_the_range_are_written_as_invalid(tmp_path):
    def metric(index: int, message: Any) -> Any:
        metres = np.full((HEIGHT, WIDTH), 2.5, np.float32)
        metres[0, :4] = np.nan, np.inf, 0.05, 6.0
        return image(metres, '32FC1', 100 + index / RATE)
    bag = write_bag(tmp_path / 'bag', recording(3, change=metric))
    assert prepare(bag, '--max-depth', '5') == 0
    folder = DatasetFolder(tmp_path / 'out')
    depth = folder.example(folder.stems('train')[0]).depth
    assert depth[0, :5].tolist() == [0, 0, 0, 0, 2.5] and folder.depth.max == 5.0


def test_labels_come_from_their_topic(tmp_path):
    label = np.tile(np.array([0, 1, 2, 255], np.uint8), (HEIGHT, 4))
    messages = recording(4) + [(LABEL, image(label, 'mono8', 100 + i / RATE)) for i in range(3)]
    bag = write_bag(tmp_path / 'bag', messages)
    assert prepare(bag, '--label-topic', LABEL, '--class-names', 'floor', 'wall', 'box') == 0
    folder = DatasetFolder(tmp_path / 'out')
    stems = folder.stems('train') + folder.stems('val')
    assert len(stems) == 3, 'an image without label is left out'
    assert folder.classes == ('floor', 'wall', 'box')
    assert (folder.example(stems[0]).label == label).all()


def test_a_damaged_image_is_left_out_and_said(tmp_path, caplog):
    messages = recording(5)
    messages[2] = (IMAGE, make('Image', **{**vars(messages[2][1]), 'data': np.zeros(9, np.uint8)}))
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    assert len(DatasetFolder(tmp_path / 'out').stems('train')) == 4
    assert '9 bytes' in caplog.text and '100.000000 s' in caplog.text


def test_a_cut_jpeg_is_not_filled_with_grey(tmp_path, capsys):
    messages = [(IMAGE, packed(JPEG[:-20], 'jpeg', 100.0)),
                (DEPTH, image(scene(0)[1], '16UC1', 100.0))]
    assert prepare(write_bag(tmp_path / 'bag', messages)) == 1
    assert 'none of 1 frames' in capsys.readouterr().err


def test_distortion_and_missing_intrinsics_are_said(tmp_path, caplog):
    messages = recording(3)
    for name, first, words in (('a', [(INFO, camera_info(0.1))], 'distortion'),
                               ('b', [], 'no camera_info at'),
                               ('c', [(INFO, camera_info(width=99))], 'is for 99x12')):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert prepare(write_bag(tmp_path / name, first + messages[1:]), '--force',
                           '--rectify', 'never') == 0
        assert words in caplog.text
        assert (DatasetFolder(tmp_path / 'out').intrinsics is not None) == (name == 'a')


def test_a_distorted_recording_is_rectified_with_its_depth_and_labels(tmp_path, caplog):
    """As the node rectifies it: a network is trained on what it will see."""
    info = camera_info()
    info.d = np.array([-0.15, 0.02, 0.0, 0.0, 0.0])
    label = np.tile(np.arange(WIDTH, dtype=np.uint8) // 6, (HEIGHT, 1))
    metres = np.tile(np.arange(1, WIDTH + 1, dtype=np.uint16) * 100, (HEIGHT, 1))
    rgb = np.repeat(np.tile(np.arange(WIDTH, dtype=np.uint8) * 10, (HEIGHT, 1))[..., None], 3, 2)
    messages = [(INFO, info), (DEPTH, image(metres, '16UC1', 100.0)),
                (LABEL, image(label, 'mono8', 100.0)), (IMAGE, image(rgb, 'rgb8', 100.0))]
    camera = judge(from_message(info), WIDTH, HEIGHT, rectified=False, rectify=True).needed()
    maps = camera.rectification
    with caplog.at_level(logging.INFO):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0', '--label-topic',
                       LABEL, '--class-names', 'a', 'b', 'c') == 0
    assert 'is rectified: its distortion (plumb_bob)' in caplog.text
    folder = DatasetFolder(tmp_path / 'out')
    example = folder.example(folder.stems('train')[0])
    assert np.array_equal(example.image, maps.image(rgb))
    assert np.array_equal(example.label, maps.nearest(label))
    np.testing.assert_allclose(example.depth, maps.depth(metres * np.float32(0.001)), atol=5e-4)
    assert (folder.intrinsics.fx, folder.intrinsics.cx) == (camera.fx, camera.cx)
    assert folder.intrinsics.fx > 19 and 'rectified' in folder.source


def test_a_bag_whose_images_change_their_size_is_one_line(tmp_path, capsys):
    """One camera's maps and intrinsics are not another size's."""
    for name, distortion in (('raw', 0.0), ('lens', -0.05)):
        info = camera_info(distortion)
        messages = [(INFO, info), *recording(2)[1:]]
        for topic, encoding, shape, kind in (
                (DEPTH, '16UC1', (2 * HEIGHT, 2 * WIDTH), np.uint16),
                (IMAGE, 'rgb8', (2 * HEIGHT, 2 * WIDTH, 3), np.uint8)):
            messages.append((topic, image(np.full(shape, 9, kind), encoding, 101.0)))
        (tmp_path / name).mkdir()
        assert prepare(write_bag(tmp_path / name / 'bag', messages), '--val-share', '0') == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert 'cut the bag where its size changes' in error and '32x24' in error


def test_a_raw_depth_is_not_the_truth_of_an_image_rectified_elsewhere(tmp_path, capsys):
    moved = {IMAGE: '/cam/image_rect', DEPTH: '/cam/aligned_depth_to_color/image_raw'}
    messages = [(moved.get(topic, topic), message)
                for topic, message in [(INFO, camera_info(-0.05)), *recording(2)[1:]]]
    assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0',
                   image_topic=moved[IMAGE], depth_topic=moved[DEPTH]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"topic '{moved[DEPTH]}'" in error and 'is aligned to the raw image' in error


@pytest.mark.parametrize('frame', ['depth', '/cam', ''])
def test_depth_of_another_frame_is_said_once(tmp_path, caplog, frame):
    """A depth camera's own image may have the colour image's size, and another view."""
    messages = recording(3)
    for topic, message in messages:
        if topic == DEPTH:
            message.header.frame_id = frame
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    assert caplog.text.count("is of frame 'depth', '/cam/image_raw' of 'cam'") == (
        frame == 'depth')


@pytest.mark.parametrize('as_file', [False, True])
@pytest.mark.parametrize('name', ['.', 'out', 'new/out'])
def test_a_data_set_is_not_written_into_its_recording(tmp_path, capsys, as_file, name):
    """Whoever copies the bag, or removes it, has no data set in mind."""
    bag = write_bag(tmp_path / 'bag', recording(2))
    before = sorted(bag.rglob('*'))
    given = next(path for path in bag.iterdir() if path.suffix == '.db3') if as_file else bag
    assert main(['bag', str(given), '--image-topic', IMAGE, '--depth-topic', DEPTH, '--out',
                 str(bag / name), '--no-progress', '--force']) == 1
    assert capsys.readouterr().err == (
        f'error: --out {bag / name}: is in the folder of the recording that is read, {bag}; give '
        'another folder\n')
    assert sorted(bag.rglob('*')) == before
    # Beside a bag that is a file alone there may be anything.
    alone = given.rename(tmp_path / given.name) if as_file else bag
    assert prepare(alone, '--val-share', '0') == 0


@pytest.mark.parametrize(('topic', 'frames'), [(IMAGE, 2), (DEPTH, 2), (IMAGE, 1)])
def test_two_cameras_in_one_topic_are_no_data_set(tmp_path, capsys, topic, frames):
    """A data set has the focal length of one: the other's metres would be wrong, unseen."""
    messages = recording(6)
    for index, message in enumerate(message for name, message in messages if name == topic):
        message.header.frame_id = f'cam{index % frames}'
    bag = write_bag(tmp_path / 'bag', messages)
    assert prepare(bag, '--val-share', '0') == frames - 1
    error = capsys.readouterr().err.splitlines()[-1:]
    assert frames == 1 or (f"topic '{topic}'" in error[0] and "of frame 'cam1'" in error[0]
                           and 'use a part that is of one' in error[0])
    assert (tmp_path / 'out/dataset.yaml').exists() == (frames == 1)


def test_more_than_one_lens_is_said(tmp_path, caplog):
    messages = [(INFO, camera_info(d)) for d in (-0.05, -0.05, -0.06)] + recording(2)[1:]
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    assert 'more than one distortion' in caplog.text


@pytest.mark.parametrize(('info', 'words'), [
    ([], 'no camera_info beside'), ([{'distortion_model': 'mei'}], "the model 'mei'")])
def test_what_cannot_be_rectified_is_one_line_where_that_was_asked_for(
        tmp_path, capsys, info, words):
    first = [(INFO, calibrated(**{'d': np.array([0.1, 0.0, 0.0, 0.0]), **one})) for one in info]
    assert prepare(write_bag(tmp_path / 'bag', first + recording(2)[1:]), '--rectify',
                   'always') == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out/dataset.yaml').exists()


class Says:
    """A network that says 2 m, a tenth of it sure, and stands in for Predictor."""

    metadata = SimpleNamespace(name='says 2 m', tasks=('depth',), intrinsics=Intrinsics(
        64, 48, 80.0, 80.0, 31.5, 23.5))

    @classmethod
    def load(cls, path: Path | None) -> Says:
        """Return one."""
        return cls()

    def __call__(self, image: np.ndarray, *, fx: float) -> Prediction:
        """Answer."""
        depth = np.full(image.shape[:2], 2.0, np.float32)
        return Prediction({'depth': depth, 'depth_variance': (0.1 * depth) ** 2}, {}, (48, 64))


def seen_by_a_sensor(count: int, metres: float) -> list:
    """Return a recording of 160x120 whose depth camera has a hole in the middle."""
    info = make('CameraInfo', **{**vars(camera_info()), 'width': 160, 'height': 120,
                                 'k': np.array([120.0, 0, 79.5, 0, 120, 59.5, 0, 0, 1]),
                                 'p': np.array([120.0, 0, 79.5, 0, 0, 120, 59.5, 0, 0, 0, 1, 0])})
    depth = np.full((120, 160), 1000 * metres, np.uint16)
    depth[50:70, 60:100] = 0
    rgb = np.full((120, 160, 3), 90, np.uint8)
    messages = [(INFO, info)]
    for index in range(count):
        messages += [(DEPTH, image(depth, '16UC1', 100 + index / RATE)),
                     (IMAGE, image(rgb, 'rgb8', 100 + index / RATE))]
    return messages


def test_depth_as_a_hint_fills_what_is_trained_on_and_nothing_else(tmp_path, monkeypatch):
    """What is validated on would judge the network by itself."""
    monkeypatch.setattr(bag_filled, 'Predictor', Says)
    assert prepare(write_bag(tmp_path / 'bag', seen_by_a_sensor(5, 3.0)), '--val-share', '0.4',
                   '--depth-as', 'hint') == 0
    folder = DatasetFolder(tmp_path / 'out')
    assert [len(folder.stems(split)) for split in ('train', 'val')] == [3, 2]
    for split in ('train', 'val'):
        for stem in folder.stems(split):
            depth = folder.example(stem).depth
            hole = depth[50:70, 60:100]
            assert (np.delete(depth.ravel(), np.flatnonzero(depth.ravel() == 0)) > 2.9).all()
            if split == 'train':
                # By the sensor's scale, and not the network's 2 m.
                assert hole == pytest.approx(3.0, rel=0.02)
            else:
                assert not hole.any()
    assert 'filled by says 2 m, 4 % of the pixels' in folder.source


@pytest.mark.parametrize(('metres', 'options', 'words'), [
    (0.03, ('--depth-as', 'hint', '--min-depth', '0.01'), 'of the metres that the network says'),
    (3.0, ('--model', 'x.safetensors'), '--model fills holes, which --depth-as hint asks for')])
def test_a_depth_that_cannot_be_a_hint_is_one_line(tmp_path, monkeypatch, capsys, metres, options,
                                                   words):
    monkeypatch.setattr(bag_filled, 'Predictor', Says)
    assert prepare(write_bag(tmp_path / 'bag', seen_by_a_sensor(3, metres)), *options) == 1
    assert words in capsys.readouterr().err


def test_holes_are_not_filled_without_a_focal_length(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bag_filled, 'Predictor', Says)
    assert prepare(write_bag(tmp_path / 'bag', seen_by_a_sensor(3, 3.0)[1:]), '--depth-as',
                   'hint') == 1
    assert '--depth-as hint needs a camera_info' in capsys.readouterr().err


def test_a_rectified_topic_takes_the_projection_matrix(tmp_path):
    messages = [(topic.replace('image_raw', 'image_rect'), message)
                for topic, message in recording(3)]
    assert prepare(write_bag(tmp_path / 'bag', messages), image_topic='/cam/image_rect') == 0
    assert DatasetFolder(tmp_path / 'out').intrinsics.fx == 19


def calibrated(**changes: Any) -> Any:
    """Make a CameraInfo with some fields changed."""
    return make('CameraInfo', **{**vars(camera_info()), **changes})


K, P = vars(camera_info())['k'], vars(camera_info())['p']


@pytest.mark.parametrize(('changes', 'fx', 'words'), [
    ({'k': np.array([80.0, 0, 32, 0, 84, 24, 0, 0, 1])}, None, 'another resolution'),
    ({'k': np.eye(3).ravel()}, 19, 'the identity for K'),
    ({'width': 4 * WIDTH, 'height': 4 * HEIGHT, 'binning_x': 4, 'binning_y': 4}, 20,
     'says binning 4x4'),
    ({'width': 2 * WIDTH, 'height': 2 * HEIGHT, 'binning_x': 2, 'binning_y': 2,
      'k': 2 * K, 'p': 2 * P}, 20, ''),
    ({'p': 4 * P}, 20, 'in K and 76 in P'),
])
def test_camera_info_is_judged_as_the_node_judges_it(tmp_path, caplog, changes, fx, words):
    messages = [(INFO, calibrated(**changes)), *recording(2)[1:]]
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    camera = DatasetFolder(tmp_path / 'out').intrinsics
    assert (camera.fx if camera else None) == fx and words in caplog.text
    if camera:
        assert (camera.width, camera.height) == (WIDTH, HEIGHT)


def test_a_camera_info_that_was_asked_for_and_cannot_be_is_one_line(tmp_path, capsys):
    messages = [(INFO, calibrated(k=np.array([80.0, 0, 32, 0, 84, 24, 0, 0, 1]))),
                *recording(2)[1:]]
    assert prepare(write_bag(tmp_path / 'bag', messages), '--camera-info-topic', INFO) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith('error: ') and INFO in message and 'another resolution' in message


def test_of_several_calibrations_the_usable_one_that_came_most_often_counts(tmp_path, caplog):
    empty, rare = calibrated(k=0 * K, p=0 * P), calibrated(k=np.array(
        [26.0, 0, 8, 0, 26, 6, 0, 0, 1]))
    messages = [*([(INFO, empty)] * 3), (INFO, rare), (INFO, camera_info()),
                *recording(2)]
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    assert DatasetFolder(tmp_path / 'out').intrinsics.fx == 20
    assert 'has fx from 20.0 to 26.0' in caplog.text
    assert 'is not calibrated' in caplog.text and '3 of 6 camera_info are unfit' in caplog.text


def with_infos(stamped: bool) -> list:
    """Return a recording whose images each come with a camera_info, of two lenses in turn."""
    messages: list[tuple[str, Any]] = []
    for index, (topic, message) in enumerate(recording(20)[1:]):
        messages.append((topic, message))
        if topic == IMAGE:
            info = calibrated() if index % 4 == 1 else calibrated(
                k=np.array([26.0, 0, 8, 0, 26, 6, 0, 0, 1]))
            if stamped:
                info.header.stamp = message.header.stamp
            messages.append((INFO, info))
    return messages


def test_camera_infos_of_two_cameras_are_refused_and_a_lens_that_zooms_is_warned_of(
        tmp_path, caplog, capsys):
    """Half of the metres would be taken for another lens's."""
    assert prepare(write_bag(tmp_path / 'bag', with_infos(stamped=False)), '--val-share', '0') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('error: ') and f"camera_info on '{INFO}' has different ones" in line
    assert 'use a part that is of one, or another --camera-info-topic' in line
    (tmp_path / 'zoom').mkdir()
    with caplog.at_level(logging.WARNING):
        assert prepare(write_bag(tmp_path / 'zoom/bag', with_infos(stamped=True)),
                       '--val-share', '0') == 0
    assert 'has fx from 20.0 to 26.0' in caplog.text


def test_what_comes_with_the_images_counts_before_what_another_camera_sends_more_often(tmp_path):
    messages: list[tuple[str, Any]] = []
    for topic, message in recording(20)[1:]:
        messages.append((topic, message))
        if topic == IMAGE:
            own = calibrated()
            own.header.stamp = message.header.stamp
            foreign = calibrated(k=np.array([26.0, 0, 8, 0, 26, 6, 0, 0, 1]))
            messages += [(INFO, own), (INFO, foreign), (INFO, foreign)]
    assert prepare(write_bag(tmp_path / 'bag', messages), '--val-share', '0') == 0
    assert DatasetFolder(tmp_path / 'out').intrinsics.fx == 20


def small_depth(index: int, message: Any) -> Any:
    return image(np.ones((6, 8), np.uint16), '16UC1', 100 + index / RATE)


def far_depth(index: int, message: Any) -> Any:
    return image(scene(0)[1], '16UC1', 100.05 + index / RATE)


@pytest.mark.parametrize(('messages', 'options', 'words'), [
    (recording(3), {'image_topic': '/nothing'},
     ("'/nothing'", '/cam/image_raw (sensor_msgs/msg/Image, 3)', '/cam/camera_info')),
    (recording(3), {'depth_topic': INFO}, (INFO, 'CameraInfo', 'sensor_msgs/msg/Image')),
    (recording(3), {'image_topic': DEPTH, 'depth_topic': IMAGE}, ('16UC1', '--depth-topic')),
    (recording(3), {'image_topic': DEPTH}, ('each must be another',)),
    ([(DEPTH, recording(1)[1][1])], {}, (IMAGE, DEPTH)),
    (recording(3, change=far_depth), {}, ('0.02 s', '0.050000 s')),
    (recording(3, change=small_depth), {}, ('8x6', '16x12', 'registered')),
    ([], {}, ('no topic',)),
])
def test_a_bag_that_does_not_fit_is_one_line(tmp_path, capsys, messages, options, words):
    bag = write_bag(tmp_path / 'bag', messages)
    assert prepare(bag, **options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith('error: ')
    for word in words:
        assert word in message, message
    assert not (tmp_path / 'out/dataset.yaml').exists()


@pytest.mark.parametrize(('options', 'words'), [
    (('--every', '0'), '--every is 0'), (('--val-share', '1'), '--val-share is 1'),
    (('--max-stamp-difference', '-1'), '--max-stamp-difference is -1'),
    (('--max-stamp-difference', 'inf'), '--max-stamp-difference is inf'),
    (('--max-stamp-difference', 'nan'), '--max-stamp-difference is nan'),
    (('--label-topic', '/l', '--class-names', 'a', 'b', 'a'), "--class-names: 'a' stands there"),
    (('--label-topic', '/l', '--class-names', *map(str, range(256))), '--class-names: has 256'),
    (('--max-depth', '0.05'), '--max-depth is 0.05'), (('--label-topic', LABEL), '--class-names'),
    (('--camera-info-topic', '/nothing'), "'/nothing'"),
    (('--label-topic', LABEL, '--class-names', 'floor'), 'holds class 2'),
])
def test_a_wrong_option_is_one_line(tmp_path, capsys, options, words):
    label = (LABEL, image(np.full((HEIGHT, WIDTH), 2, np.uint8), 'mono8', 100.0))
    assert prepare(write_bag(tmp_path / 'bag', [*recording(3), label]), *options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith('error: ') and words in message, message


@pytest.mark.parametrize(('spoil', 'words'), [
    (lambda out: out.write_text('mine'), 'is no folder'),
    (lambda out: out.symlink_to('nowhere/at/all'), 'is no folder'),
    (lambda out: (out.mkdir(), (out / 'label.png').touch()), 'is not empty')])
def test_a_folder_that_cannot_be_written_is_said_before_the_bag_is_read(tmp_path, capsys,
                                                                        monkeypatch, spoil, words):
    """A recording of an hour was read for its stamps first."""
    bag = write_bag(tmp_path / 'bag', recording(3))
    spoil(tmp_path / 'out')
    monkeypatch.delattr(prepared_bag, 'open_bag')
    assert prepare(bag) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {tmp_path}/out: {words}')


def test_a_whole_folder_stays_whole_where_nothing_can_be_written_over_it(tmp_path):
    """--force took the dataset.yaml of before away, and then the topic was found to be wrong."""
    bag = write_bag(tmp_path / 'bag', recording(3))
    assert prepare(bag) == 0
    before = (tmp_path / 'out/dataset.yaml').read_text()
    assert prepare(bag, '--force', image_topic=DEPTH, depth_topic=IMAGE) == 1
    assert (tmp_path / 'out/dataset.yaml').read_text() == before
    assert len(DatasetFolder(tmp_path / 'out').stems('train')) == 2


def test_a_stop_says_whether_the_folder_is_whole(tmp_path, capsys, monkeypatch):
    """It said that the folder of before had no dataset.yaml, which it had."""
    bag = write_bag(tmp_path / 'bag', recording(3))

    def stop(*_):
        signal.raise_signal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(prepared_bag, 'find_moments', stop)
        assert prepare(bag) == 130 and 'nothing was written' in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(prepared_bag, 'encode_metres', stop)
        assert prepare(bag) == 130 and 'it is not whole' in capsys.readouterr().err
    assert prepare(bag, '--force') == 0
    monkeypatch.setattr(prepared_bag, 'find_moments', stop)
    assert prepare(bag, '--force') == 130
    assert capsys.readouterr().err.endswith('out is whole\n')


def cut_file(bag: Path) -> None:
    path = next(path for path in bag.iterdir() if path.suffix in ('.db3', '.mcap'))
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize(('spoil', 'words'), [
    (cut_file, 'cannot be read as a ROS 2 bag'),
    (lambda bag: (bag / 'metadata.yaml').unlink(), 'ros2 bag reindex'),
    (lambda bag: (bag / 'metadata.yaml').write_text('a: 1'), 'cannot be read as a ROS 2 bag'),
    (lambda bag: bag.rename(bag.parent / 'elsewhere'), 'no such bag'),
])
def test_a_broken_bag_is_one_line(tmp_path, capsys, plugin, spoil, words):
    bag = write_bag(tmp_path / 'bag', recording(3), plugin)
    spoil(bag)
    assert prepare(bag) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith('error: ') and words in message, message
