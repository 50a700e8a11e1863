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
from emu_perception.ros.map_publishers import MapPublishers
from node_bench import CLASSES, FakeMetadata
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


def test_message_fits_the_definitions_and_is_latched(monkeypatch):
    vision_class = strict('VisionClass', {})
    label_info = strict('LabelInfo', {'VisionClass': vision_class, 'Header': Header})
    package, messages = ModuleType('vision_msgs'), ModuleType('vision_msgs.msg')
    messages.LabelInfo, messages.VisionClass = label_info, vision_class
    monkeypatch.setitem(sys.modules, 'vision_msgs', package)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', messages)
    made, sent = [], []

    def create_publisher(kind, topic, qos, **_):
        made.append((kind, topic, qos))
        return SimpleNamespace(publish=sent.append)
    clock = SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: Time(sec=7)))
    maps = MapPublishers(SimpleNamespace(create_publisher=create_publisher,
                                         get_clock=lambda: clock), FakeMetadata())
    assert maps.publish_label_info() and maps.publish_label_info()
    (kind, _, qos), = [one for one in made if one[1] == '~/label_info']
    assert kind is label_info
    assert qos.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    assert qos.reliability == QoSReliabilityPolicy.RELIABLE
    assert len(sent) == 2 and sent[0].header.stamp.sec == 7 and sent[0].threshold == 0.0
    assert [(one.class_id, one.class_name) for one in sent[0].class_map] == [
        *enumerate(CLASSES), (255, 'UNLABELED')]


def test_late_subscriber_gets_the_names_over_the_middleware(make_bench):
    vision_msgs = pytest.importorskip(
        'vision_msgs.msg', reason='vision_msgs is not on PyPI: ~/label_info is NOT TESTED over '
        'the middleware here; bash test/ros/label_info_messages/run does it')
    bench = make_bench()
    messages = bench.listen(vision_msgs.LabelInfo, 'label_info', latched=True)
    bench.until(lambda: messages)
    assert [entry.class_name for entry in messages[0].class_map] == [*CLASSES, 'UNLABELED']
    assert [entry.class_id for entry in messages[0].class_map] == [0, 1, 2, 255]
