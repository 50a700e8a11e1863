# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the replay camera, declared and checked when it starts; none is live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.errors import InputError
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

RATE_HZ = 10.0  # Of a source that has no rate.


@dataclass(frozen=True)
class ReplayParameters:
    """What they were started with; each by the name of the parameter, which says what it is."""

    source: str
    image_topic: str
    rate_hz: float
    loop: bool
    exit_at_end: bool
    wait_for_listener: bool
    clock: bool
    step: bool
    frame_id: str
    max_side: int
    transport: str
    reliability: str
    camera_info_file: str

    @classmethod
    def declared(cls, node: Node) -> ReplayParameters:
        """
        Declare them on a node.

        :raises InputError: if one cannot be used.
        """
        found = cls(
            source=_text(node, 'source', 'Folder of images (or data set root), image, video file, '
                         "ROS 2 bag, or camera: '0', '/dev/video0'."),
            image_topic=_text(node, 'image_topic', 'Of a bag; empty: the only one it has.'),
            rate_hz=_number(node, 'rate_hz', 10.0, "Frames a second; 0: the source's own rate, "
                            f'{RATE_HZ:g} where it has none.', 0.0, 1000.0),
            loop=_flag(node, 'loop', True, 'Start over at the end.'),
            exit_at_end=_flag(node, 'exit_at_end', False, 'End the process with the source.'),
            wait_for_listener=_flag(node, 'wait_for_listener', False, 'Publish nothing until '
                                    'somebody subscribes to the image.'),
            clock=_flag(node, 'clock', False, "Keep the source's own stamps and publish them on "
                        '/clock, for nodes with use_sim_time; for a bag.'),
            step=_flag(node, 'step', False, 'Publish only when ~/step is called.'),
            frame_id=_text(node, 'frame_id', 'Frame of the images (REP 103: z forward).',
                           'camera_optical_frame'),
            max_side=int(_number(node, 'max_side', 1920, 'Larger images are made smaller (and '
                                 'camera_info with them); 0: never.', 0, 16384)),
            transport=_choice(node, 'transport', ('raw', 'compressed'), 'What to publish.'),
            reliability=_choice(node, 'reliability', ('reliable', 'best_effort'), 'QoS.'),
            camera_info_file=_text(node, 'camera_info_file', 'ROS calibration YAML of all images; '
                                   'empty: <stem>.yaml beside each image, else dataset.yaml of '
                                   'the folder.'))
        if not found.source:
            raise InputError('source is empty: give a folder of images, an image, a video, a bag, '
                             "or a camera ('0', '/dev/video0')")
        return found


def _text(node: Node, name: str, description: str, default: str = '') -> str:
    # Dynamic: `source:=0` on a command line is a number, and names camera 0 all the same.
    return str(node.declare_parameter(name, default, ParameterDescriptor(
        description=description, dynamic_typing=True, read_only=True)).value)


def _flag(node: Node, name: str, default: bool, description: str) -> bool:
    return bool(node.declare_parameter(
        name, default, ParameterDescriptor(description=description, read_only=True)).value)


def _choice(node: Node, name: str, choices: Sequence[str], description: str) -> str:
    value = _text(node, name, f'{description} One of: {", ".join(choices)}.', choices[0])
    if value not in choices:
        raise InputError(f'parameter {name} is {value!r}: give one of {", ".join(choices)}')
    return value


def _number(node: Node, name: str, default: float, description: str, low: float, high: float
            ) -> float:
    described = ParameterDescriptor(description=description, read_only=True, dynamic_typing=True)
    value = node.declare_parameter(name, default, described).value
    if type(value) not in (int, float) or not low <= value <= high:
        raise InputError(f'parameter {name} is {value!r}: give a number from {low} to {high}')
    return float(value)
