# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
``~/label_info``: the class names, latched, in the message that Nav2 reads.

vision_msgs is not on PyPI. ``bash test/ros/label_info_messages/run`` builds its messages and runs
the test over DDS; elsewhere a stand-in of the same definitions holds the node to names and types.
"""

from __future__ import annotations

from pathlib import Path
import re
import sys
from types import ModuleType, SimpleNamespace

from builtin_interfaces.msg import Time
from emu_perception.risk import RiskReason, RiskState
from emu_perception.ros.gate import Gate
from emu_perception.ros.map_messages import Frame
from emu_perception.ros.map_publishers import MapPublishers
from emu_perception.ros.parameters import Settings
from node_bench import CLASSES, FakeMetadata, FakePredictor
import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy
from std_msgs.msg import Header

DEFINITIONS = Path(__file__).parent / 'label_info_messages' / 'msg'
PLAIN = {'string': str, 'float32': float, 'uint16': int}


def strict(name: str, known: dict[str, type]) -> type:
    """Return a class with the fields of a definition, which takes their types alone."""
    found = re.findall(r'^(\S+) (\w+)$', (DEFINITIONS / f'{name}.msg').read_text(), re.M)
    fields = {field: kind for kind, field in found}

    class Message:

        def __init__(self, **values):
            for field, value in values.items():
                kind = fields[field]  # KeyError: no such field
                inner = known.get(kind.removesuffix('[]').rpartition('/')[2])
                if kind.endswith('[]'):
                    assert type(value) is list and all(type(one) is inner for one in value)
                else:
                    assert type(value) is (inner or PLAIN[kind]), f'{field} is {value!r}'
                assert kind != 'uint16' or 0 <= value < 1 << 16, f'{field} is {value}'
                setattr(self, field, value)
            assert values.keys() == fields.keys(), 'a field is left as it was'
    return Message


@pytest.fixture
def stand_in(monkeypatch):
    """Have stand-ins of the messages imported for the time of a test."""
    vision_class = strict('VisionClass', {})
    label_info = strict('LabelInfo', {'VisionClass': vision_class, 'Header': Header})
    package, messages = ModuleType('vision_msgs'), ModuleType('vision_msgs.msg')
    messages.LabelInfo, messages.VisionClass = label_info, vision_class
    monkeypatch.setitem(sys.modules, 'vision_msgs', package)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', messages)
    return label_info


class FakeNode:
    """Keeps what is sent on which topic, in order; somebody listens to each."""

    def __init__(self):
        self.made, self.sent = [], []

    def create_publisher(self, kind, topic, qos, **_):
        self.made.append((kind, topic, qos))
        return SimpleNamespace(publish=lambda message: self.sent.append((topic, message)),
                               get_subscription_count=lambda: topic == '~/label')

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: Time(sec=7)))


def test_message_fits_the_definitions_and_is_latched(stand_in):
    node = FakeNode()
    maps = MapPublishers(node, FakeMetadata())
    assert maps.publish_label_info() and maps.publish_label_info()
    (kind, _, qos), = [one for one in node.made if one[1] == '~/label_info']
    sent = [message for _, message in node.sent]
    assert kind is stand_in
    assert qos.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    assert qos.reliability == QoSReliabilityPolicy.RELIABLE
    assert len(sent) == 2 and sent[0].header.stamp.sec == 7 and sent[0].threshold == 0.0
    assert [(one.class_id, one.class_name) for one in sent[0].class_map] == [
        *enumerate(CLASSES), (255, 'UNLABELED')]


def test_names_of_a_new_model_come_after_the_last_labels_of_the_old_one_and_before_its_own(
        stand_in):
    node = FakeNode()
    old = MapPublishers(node, FakeMetadata())
    assert old.publish_label_info()
    new = old.showing(FakeMetadata(classes=('sky', 'road', 'tree')))
    assert new.publish_label_info(at_once=False)

    def show(maps, current=True):
        image = np.zeros((48, 64, 3), np.uint8)
        maps.publish(Frame(Header(), image, None), FakePredictor()(image),
                     RiskState(False, RiskReason.NONE, ''), Settings(), lambda: current,
                     Gate((), RiskState(False, RiskReason.NONE, ''), lambda: False))
    show(old)
    show(new, current=False)  # Its session has ended: the next one's first maps say it.
    for _ in range(2):
        show(new)
    assert [topic for topic, _ in node.sent] == [
        '~/label_info', '~/label', '~/label_info', '~/label', '~/label']
    assert [one.class_name for one in node.sent[2][1].class_map] == [
        'sky', 'road', 'tree', 'UNLABELED']
    # No topic is made after a cleanup.
    assert new.publish_label_info(at_once=False)
    made = len(node.made)
    node.destroy_publisher = lambda publisher: None
    new.destroy()
    show(new)
    assert len(node.made) == made and len(node.sent) == 5


def test_late_subscriber_gets_the_names_over_the_middleware(make_bench):
    vision_msgs = pytest.importorskip(
        'vision_msgs.msg', reason='vision_msgs is not on PyPI: ~/label_info is NOT TESTED over '
        'the middleware here; bash test/ros/label_info_messages/run does it')
    bench = make_bench()
    messages = bench.listen(vision_msgs.LabelInfo, 'label_info', latched=True)
    bench.until(lambda: messages)
    assert [entry.class_name for entry in messages[0].class_map] == [*CLASSES, 'UNLABELED']
    assert [entry.class_id for entry in messages[0].class_map] == [0, 1, 2, 255]
