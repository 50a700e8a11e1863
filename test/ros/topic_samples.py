# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A sample of every topic, as ``ros2 topic echo`` shows it, taken from a live node.

``PYTHONPATH=. python test/ros/topic_samples.py`` writes ``docs/topics.md``;
``test_topic_samples.py`` holds the node to it. The network is a stand-in whose answer is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
import os
from pathlib import Path
import sys
from typing import Any

from node_bench import Bench, camera_info, fake_promises, FakePredictor, rgb_image

FILE = Path(__file__).resolve().parents[2] / 'docs/topics.md'
WIDTH, HEIGHT = 64, 48
_SHOWN = 8
# Without these the topics for planners are silent.
_PLANNER = {'ground_classes': ['floor'], 'mask_classes': ['chair'], 'scan_frame': 'camera_level',
            'scan_camera_height_m': 1.0, 'ground_max_height_m': 9.0}
_OTHERS = ('/rosout', '/parameter_events', '/emu/transition_event')
_HEAD = f"""\
# Samples of the node's topics
Written by `PYTHONPATH=. python test/ros/topic_samples.py` from a live node: an image of
{WIDTH}x{HEIGHT} from `camera_optical_frame`, stamp 1234.000000567, its camera_info, and a network
of three tasks whose answer is known. Long fields are cut. `~` is the node, here `/emu`, with
`ground_classes`, `ground_max_height_m`, `mask_classes`, `scan_frame` and `scan_camera_height_m`
set.
"""


def samples() -> dict[str, str]:
    """Start nodes, listen to all they have, and return the section of each topic by its name."""
    # What is there without a depth camera is shown as it is without.
    return dict(sorted({**_samples(depth_hint=True), **_samples(depth_hint=False)}.items()))


def _samples(*, depth_hint: bool) -> dict[str, str]:
    bench = Bench(predictor=FakePredictor(tasks=('segmentation', 'depth', 'instance'),
                                          calibration=fake_promises()),
                  parameters={'depth_hint': depth_hint, **_PLANNER})
    try:
        kinds = {name: types[0] for name, types in
                 bench.node.get_publisher_names_and_types_by_node('emu', '/')
                 if name not in _OTHERS}
        for name, kind in kinds.items():
            package, _, message = kind.split('/')
            if name not in ('/emu/risk', '/diagnostics'):  # the bench listens already
                bench.listen(getattr(import_module(f'{package}.msg'), message), _key(name),
                             latched=name == '/emu/label_info')
        bench.until(lambda: all(_sample(bench, name) is not None for name in kinds),
                    send=rgb_image(WIDTH, HEIGHT), camera_info=_info())
        found = {}
        for name in sorted(kinds):
            qos = bench.helper.get_publishers_info_by_topic(name)[0].qos_profile
            shown = name.replace('/emu/', '~/')
            echo = '\n'.join(_lines(_sample(bench, name)))
            found[shown] = (f'## {shown}\n{kinds[name]}, {qos.reliability.name.lower()}, '
                            f'{qos.durability.name.lower()}\n```yaml\n{echo}\n```\n')
        return found
    finally:
        bench.close()


def sections(text: str) -> dict[str, str]:
    """Return the sections of a document by their topic."""
    parts = text.split('\n## ')[1:]
    return {part.split('\n')[0]: f'## {part.rstrip()}\n' for part in parts}


def _info() -> Any:
    info = camera_info(WIDTH, HEIGHT)
    info.header = rgb_image(WIDTH, HEIGHT).header
    return info


def _key(name: str) -> str:
    return name.removeprefix('/emu/')


def _sample(bench: Bench, name: str) -> Any:
    """
    Return the newest message that belongs to the image, once the flag is lowered.

    Of diagnostics one that has all figures: some take two images.
    """
    if bench.risk() is not False:
        return None
    for message in reversed(list(bench.received[_key(name)])):
        statuses = {status.name: status for status in getattr(message, 'status', [])}
        if name == '/diagnostics':
            good = 'emu: risk' in statuses and statuses['emu: risk'].message.startswith('clear') \
                and {'publish_time_ms_max', 'overhead_time_ms_max', 'cyclic_time_ms_max'} <= {
                    pair.key for pair in statuses['emu: inference'].values}
        elif name == '/emu/risk_status':
            good = statuses['emu: risk'].message.startswith('clear')
        elif name == '/emu/risk_marker':
            good = message.color.g > message.color.r
        else:
            good = not hasattr(message, 'header') or message.header.stamp.sec == 1234
        if good or name == '/emu/label_info':
            return message
    return None


def _lines(value: Any, indent: str = '') -> Iterator[str]:
    """Write a message as YAML, its long fields cut."""
    for name in value.get_fields_and_field_types():
        field = getattr(value, name)
        if hasattr(field, 'get_fields_and_field_types'):
            yield f'{indent}{name}:'
            yield from _lines(field, f'{indent}  ')
        elif _is_list(field) and len(field) and hasattr(field[0], 'get_fields_and_field_types'):
            yield f'{indent}{name}:'
            for one in field:
                first, *rest = _lines(one, f'{indent}  ')
                yield f'{indent}- {first.strip()}'
                yield from rest
        elif _is_list(field):
            shown = ', '.join(_text(one) for one in field[:_SHOWN])
            more = f', ...]  # {len(field)} in all' if len(field) > _SHOWN else ']'
            yield f'{indent}{name}: [{shown}{more}'
        else:
            yield f'{indent}{name}: {_text(field)}'


def _is_list(value: Any) -> bool:
    return hasattr(value, '__len__') and not isinstance(value, (str, bytes))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return str(value[0])
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value and value.isprintable() and ': ' not in value else f"'{value}'"
    return f'{float(value):.6g}' if not float(value).is_integer() else str(int(value))


def main() -> int:
    """Write the document."""
    import rclpy
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    rclpy.init(domain_id=1 + os.getpid() % 100)
    found = samples()
    rclpy.try_shutdown()
    if '~/label_info' not in found:
        print('vision_msgs is not installed: ~/label_info would be lost; see '
              'test/ros/label_info_messages/run', file=sys.stderr)
        return 1
    FILE.write_text('\n'.join([_HEAD, *found.values()]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
