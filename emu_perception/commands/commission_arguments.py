# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Make a checkpoint this robot's own: a minute of its normal driving, no labels.

python -m emu_perception.commands.commission INPUT --out FILE [--model FILE]
    [--depth FOLDER|TOPIC [--depth-as truth|hint]] [--camera-height M [--camera-pitch DEG]]
    [--fx PX | --camera-info FILE]

INPUT is a ROS 2 bag, a folder of images or a video in which all is well. Familiarity and risk
thresholds are fitted to it; printed is what the flag would have said of its later half by a fit to
the earlier. With the depth camera's images (a topic of the bag, or 16-bit PNG, millimetres, of the
images' names) it is said how far the metres are off here. They are the truth, for a robot that
drives without a depth camera: the intervals of the depth are made to hold. Or a hint, for one that
drives with it (depth_hint), which gives the scale: the intervals are made to hold once the scale
is right, and are never made narrower, for hints get lost. With the camera's height above level
ground the ground says how far the metres are off, and whether to set ground_scale. An image whose
lens distorts is rectified, as the node does it.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.cameras.topics import AUTO, RECTIFY
from emu_perception.commands.arguments import add_ground, add_model, add_source, count, number
from emu_perception.commands.program import CommandParser

TRUTH, HINT = 'truth', 'hint'


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = CommandParser('python -m emu_perception.commands.commission', __doc__)
    add = parser.add_argument
    add('input', type=Path, metavar='INPUT')
    add('--out', type=Path, required=True, metavar='FILE', help='the checkpoint to write')
    add('--force', action='store_true', help='replace --out where it is there')
    add_model(parser)
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument('--fx', type=number(0.0, open_low=True), metavar='PX',
                        help='focal length in pixels at the size of the images; for --depth and '
                        '--camera-height')
    camera.add_argument('--camera-info', type=Path, metavar='FILE',
                        help='ROS camera_calibration YAML; default: the camera_info of a bag, '
                        '<name>.yaml beside an image')
    add('--rectify', choices=RECTIFY, default=AUTO,
        help='as the parameter of the node (default: %(default)s)')
    add('--depth', metavar='FOLDER|TOPIC',
        help="the depth camera's images: a folder of 16-bit PNG in millimetres, of the images' "
        'names, or a topic of the bag')
    add('--depth-as', choices=(TRUTH, HINT), default=TRUTH,
        help='hint: the robot drives with the depth camera joined in (default: %(default)s)')
    add_ground(parser, 'by the ground it is said how far the metres are off here')
    add('--held-out', type=number(0.1, 0.9), default=0.5, metavar='X',
        help='share of the recording, its end, that is measured first (default: %(default)s)')
    add('--frames', type=count(10), default=300, metavar='N',
        help='at most so many, spread over the recording (default: %(default)s)')
    add_source(parser)
    return parser
