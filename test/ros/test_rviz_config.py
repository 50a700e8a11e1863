# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""config/emu.rviz against a running node: a display of what nobody sends stays empty, unsaid."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from emu_perception.cameras.source import FRAME_ID
from node_bench import camera_info, rgb_image
import pytest
from rclpy.qos import (
    qos_check_compatible,
    QoSCompatibility,
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import Marker
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = yaml.safe_load((ROOT / 'config/emu.rviz').read_text())
MANAGER = DOCUMENT['Visualization Manager']
DISPLAYS = {one['Name']: one for one in MANAGER['Displays']}
# Of rviz_default_plugins and rviz_common, the two that come with every rviz2.
KINDS = {'rviz_default_plugins/Image': Image, 'rviz_default_plugins/PointCloud2': PointCloud2,
         'rviz_default_plugins/Marker': Marker, 'rviz_default_plugins/Grid': None}
# Those of rviz's Image display: without a scale, or as numbers with one.
PICTURES, NUMBERS = {'rgb8'}, {'32FC1'}


def profile(topic: dict[str, Any]) -> QoSProfile:
    """Return what rviz asks for."""
    return QoSProfile(
        depth=topic['Depth'],
        reliability=QoSReliabilityPolicy[topic['Reliability Policy'].upper().replace(' ', '_')],
        durability=QoSDurabilityPolicy[topic['Durability Policy'].upper().replace(' ', '_')])


@pytest.fixture
def received(make_bench) -> dict[str, Any]:
    """Return by the displays' names what a running node sends to the QoS that they ask for."""
    bench, found = make_bench(), {}
    for name, display in DISPLAYS.items():
        kind = KINDS[display['Class']]
        if kind is None:
            continue
        asked = profile(display['Topic'])
        publisher, = bench.helper.get_publishers_info_by_topic(display['Topic']['Value'])
        assert qos_check_compatible(publisher.qos_profile, asked)[0] != QoSCompatibility.ERROR
        bench.helper.create_subscription(kind, display['Topic']['Value'],
                                         lambda message, name=name: found.update({name: message}),
                                         asked)
    shown = sum(KINDS[one['Class']] is not None for one in DISPLAYS.values())
    bench.until(lambda: len(found) == shown, send=rgb_image(frame_id=FRAME_ID),
                camera_info=camera_info())
    return found


def test_every_display_shows_what_the_node_sends_in_a_frame_that_is_there(received):
    assert MANAGER['Global Options']['Fixed Frame'] == FRAME_ID, 'no TF is needed'
    assert {message.header.frame_id for message in received.values()} == {FRAME_ID}
    for name, message in received.items():
        display = DISPLAYS[name]
        assert display['Enabled'] and display['Value'], name
        if isinstance(message, Image):
            assert message.encoding in PICTURES | NUMBERS, name
            if message.encoding in NUMBERS:
                assert not display['Normalize Range'], 'colours are to compare over time'
                assert f"{display['Min Value']}..{display['Max Value']} m" in name
        elif isinstance(message, PointCloud2):
            fields = {field.name for field in message.fields}
            assert {'x', 'y', 'z', 'rgb', display['Channel Name']} <= fields
            assert (display['Color Transformer'], display['Position Transformer']) == (
                'RGB8', 'XYZ')


def test_windows_and_the_launch_file_name_the_same_displays():
    windows = {name for name, value in DOCUMENT['Window Geometry'].items()
               if isinstance(value, dict)}
    pictures = {name for name, one in DISPLAYS.items() if one['Class'].endswith('/Image')}
    assert windows == pictures | {'Displays'}
    tree = ast.parse((ROOT / 'launch/emu.launch.py').read_text())
    moved, = (node.value for node in tree.body if isinstance(node, ast.Assign)
              and getattr(node.targets[0], 'id', '') == 'RVIZ_TOPICS')
    assert {f'/emu/{topic}' for topic in ast.literal_eval(moved)} == {
        one['Topic']['Value'] for one in DISPLAYS.values() if 'Topic' in one}


def test_what_is_not_a_display_is_of_rvizs_own_plugins():
    """A class that rviz2 does not have is an error box at every start."""
    assert {one['Class'] for one in DOCUMENT['Panels']} <= {
        'rviz_common/Displays', 'rviz_common/Time', 'rviz_common/Views'}
    assert {one['Class'] for one in MANAGER['Tools']} <= {
        f'rviz_default_plugins/{name}' for name in ('MoveCamera', 'Interact', 'Measure')}
    assert MANAGER['Transformation']['Current']['Class'] == 'rviz_default_plugins/TF'
    assert MANAGER['Views']['Current']['Class'] == 'rviz_default_plugins/Orbit'
