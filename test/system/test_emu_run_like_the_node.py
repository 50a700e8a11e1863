# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""emu_run's recording is what the node would have published, and real ROS 2 reads it."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
import re
from typing import Any

from emu_perception import risk_status
from emu_perception.checkpoint import Calibration, FittedThreshold
from emu_perception.commands.predict import main
from emu_perception.risk import RiskReason, RiskState, RiskThresholds
from emu_perception.ros import diagnostics
from emu_perception.scores import SCORES, scores_of
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader

ROOT = Path(__file__).resolve().parents[2]


def message_class(kind: str) -> Any:
    """Return the class of 'package/msg/Name'."""
    package, _, name = kind.split('/')
    return getattr(import_module(f'{package}.msg'), name)


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory, random_checkpoint: Path) -> Path:
    """Return the bag of a run over two images."""
    import cv2
    folder = tmp_path_factory.mktemp('run')
    for index in range(2):
        noise = np.random.default_rng(index).integers(0, 256, (96, 128, 3), np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), noise)
    assert main([str(folder), '--out', str(folder / 'out'), '--model', str(random_checkpoint),
                 '--device', 'cpu', '--fx', '90', '--mcap', '--no-video', '--no-progress']) == 0
    return folder / 'out/recording'


@pytest.mark.slow
def test_every_message_is_read_by_ros_itself(recording: Path) -> None:
    """A wrong serialization is read by its own library, and by nobody else."""
    count = 0
    with Reader(recording) as reader:
        for connection, time_ns, data in reader.messages():
            message = deserialize_message(bytes(data), message_class(connection.msgtype))
            if hasattr(message, 'header'):
                stamp = message.header.stamp
                assert stamp.sec * 10**9 + stamp.nanosec == time_ns
                assert message.header.frame_id == 'camera_optical_frame'
            if connection.topic == '/emu/depth/image':
                depth = np.frombuffer(message.data, np.float32).reshape(96, 128)
                assert message.encoding == '32FC1' and not (depth <= 0).any()
            count += 1
    assert count == 2 * (15 + len(scores_of(('segmentation', 'depth'))))


@pytest.mark.slow
def test_a_recorded_cloud_is_the_nodes_to_the_bit(tmp_path: Path, random_checkpoint: Path
                                                  ) -> None:
    import cv2
    from emu_perception.cameras.calibration import pinhole_info
    from emu_perception.cameras.judgement import judge
    from emu_perception.predictor import Predictor
    from emu_perception.ros.point_cloud import to_point_cloud
    from std_msgs.msg import Header
    rgb = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    cv2.imwrite(str(tmp_path / '0.png'), rgb[..., ::-1])
    assert main([str(tmp_path / '0.png'), '--out', str(tmp_path / 'out'), '--model',
                 str(random_checkpoint), '--device', 'cpu', '--fx', '90', '--topics', 'points',
                 '--panels', 'none', '--no-video', '--no-progress']) == 0
    with Reader(tmp_path / 'out/recording') as reader:
        (data,) = [bytes(one) for connection, _, one in reader.messages()
                   if connection.topic == '/emu/points']
    cloud = deserialize_message(data, message_class('sensor_msgs/msg/PointCloud2'))
    expected = Predictor.load(random_checkpoint, 'cpu')(rgb, fx=90.0)
    camera = judge(pinhole_info(128, 96, 90.0), 128, 96, rectified=True, what='test').camera
    assert cloud == to_point_cloud(expected.depth, rgb, Header(
        stamp=cloud.header.stamp, frame_id='camera_optical_frame'), camera, label=expected.label,
        sigma=expected.depth_sigma)


@pytest.mark.slow
def test_topics_and_types_are_those_of_the_readme(recording: Path) -> None:
    """A topic that the node calls otherwise is found by no display of config/emu.rviz."""
    text = (ROOT / 'README.md').read_text()
    with Reader(recording) as reader:
        for connection in reader.connections:
            if not connection.topic.startswith('/emu/'):
                continue
            name = connection.topic.removeprefix('/emu/')
            row = re.search(rf'^\|[^|]*`~/{name}`[^|]*\|([^|]*)\|', text, re.M)
            assert row, f'README has no ~/{name}'
            assert connection.msgtype.rpartition('/')[2] in row.group(1), name


@pytest.mark.parametrize('state', [
    RiskState(False, RiskReason.NONE, 'certain',
              {'segmentation_entropy': 0.25, 'depth_sigma': 0.5}, 0.25, 'segmentation_entropy'),
    RiskState(True, RiskReason.UNCERTAIN, 'mean entropy 2 > 1', {'segmentation_entropy': 2.0},
              2.0, 'segmentation_entropy'),
    RiskState(True, RiskReason.STALE, 'no image for 2.0 s')])
def test_the_flag_is_told_as_the_node_tells_it(state: RiskState) -> None:
    """Dashboards read these fields by name."""
    thresholds, sources = RiskThresholds({'segmentation_entropy': 1.0}), {
        'segmentation_entropy': risk_status.Origin('parameter')}
    level, message, values = risk_status.status_fields(state, thresholds, sources)
    theirs = diagnostics.risk_status('emu: risk', state, thresholds, sources)
    assert (bytes([level]), message) == (theirs.level, theirs.message)
    assert values == {entry.key: entry.value for entry in theirs.values}
    assert risk_status.banner_text(state) == (
        f'RISK {state.reason.value}: {state.detail}' if state.raised else 'no risk')


@pytest.mark.parametrize('own', [0.0, 0.7])
def test_thresholds_come_from_where_the_nodes_do(own: float) -> None:
    """The same recording would raise the flag here and not there."""
    calibration = Calibration(scores={'segmentation_entropy': FittedThreshold(1.5)})
    given = {'segmentation_entropy': own, 'depth_sigma': 0.0}
    found, origins = risk_status.resolve_thresholds(given, calibration)
    assert found == RiskThresholds({'segmentation_entropy': own or 1.5})
    assert {name: str(origin) for name, origin in origins.items()} == {
        **dict.fromkeys(SCORES, 'none: not judged'),
        'segmentation_entropy': 'parameter' if own else 'checkpoint'}
    assert risk_status.unbelievable(origins) == ''
    nothing = Calibration(scores={'relative_depth_sigma': FittedThreshold(15.0)})
    found, origins = risk_status.resolve_thresholds({}, nothing)
    assert found == RiskThresholds({'relative_depth_sigma': 1.0})
    assert 'train it longer, or set risk_threshold_relative_depth' in risk_status.unbelievable(
        origins)
    # By the value, whatever its words.
    assert risk_status.unbelievable({'relative_depth_sigma': replace(
        origins['relative_depth_sigma'], words='15, cut')}).startswith('threshold of')
    assert not risk_status.unbelievable({'relative_depth_sigma': risk_status.Origin('at most 1')})
    # A checkpoint without calibration, as a node has before it is configured.
    assert risk_status.resolve_thresholds(given, None)[0] == RiskThresholds(
        {'segmentation_entropy': own} if own else {})
