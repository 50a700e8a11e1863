# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of ``emu_run``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import math
from pathlib import Path
from typing import Any

from emu_perception.cameras.topics import AUTO, RECTIFY
from emu_perception.commands.program import CommandParser
from emu_perception.commands.recorded_topics import LABEL_INFO, NAMES
from emu_perception.planning.mounting import GROUND_CLASSES, HIGHEST_M, STEEPEST_DEG
from emu_perception.rules import Rule, Value
from emu_perception.scores import SCORES

_DESCRIPTION = """
Run the model over images, a video or a ROS 2 bag, as the node would.

INPUT is an image, a folder of images (or a data set folder), a video, a ROS 2 bag (its folder, or
one .mcap or .db3 file), or a connected camera (0, /dev/video0; until Ctrl-C). In DIR: frames.csv,
panels/*.png, video.mp4, recording/ (an MCAP with the node's topics) and summary.json.
"""

# Options that are not always read, with their defaults: of the flag over a stream of images, and
# of a depth camera that is joined in, or of the ground.
OF_STREAMS = {'raise_after': 1, 'clear_after': 3, 'clear_below': 0.9, 'stale_after': 1.0}
OF_PRIOR = {'depth_hint_prior': 0.4}
OF_HINTS = {'depth_hint_any_scale': False}
OF_GROUND: dict[str, Any] = {'camera_pitch': 0.0, 'ground_classes': GROUND_CLASSES}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options; ends the process with code 2 on a command line that makes no sense."""
    parser = CommandParser('emu_run', _DESCRIPTION)
    add = parser.add_argument
    add('input', type=Path, metavar='INPUT')
    add('--out', type=Path, required=True, metavar='DIR', help='must be new or empty')
    add('--force', action='store_true', help='replace the results that are in DIR')
    add_model(parser)
    add('--precision', default='auto', help='auto, fp32, bf16 or fp16 (default: %(default)s)')
    add('--backend', default='auto',
        help='auto, or one of emu_perception.backends (default: %(default)s)')
    _add_input(parser.add_argument_group('input'))
    _add_output(parser.add_argument_group('output'))
    _add_risk(parser.add_argument_group('risk and unknown pixels (as the parameters of the node)'))
    options = parser.parse_args(arguments)
    if options.fx is not None and options.hfov is not None:
        parser.error('argument --hfov: not allowed with argument --fx: each says the focal length '
                     'by itself, and they may contradict each other; give one')
    return options


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    camera = group.add_mutually_exclusive_group()
    camera.add_argument('--fx', type=number(0.0, open_low=True), metavar='PX',
                        help='focal length in pixels at the size of the images')
    camera.add_argument('--camera-info', type=Path, metavar='FILE',
                        help='ROS camera_calibration YAML, or dataset.yaml; default: the '
                        'camera_info of a bag, <name>.yaml beside an image, the dataset.yaml of a '
                        'data set folder')
    add('--hfov', type=number(0.0, 150.0, open_low=True), metavar='DEG',
        help='horizontal field of view, where there is no good calibration (the parameter '
        'fallback_hfov_deg), and no --fx; without any focal length no metres are recorded and '
        'the risk flag stays raised')
    add_source(group)
    add('--rectify', choices=RECTIFY, default=AUTO,
        help="take the lens's distortion out, as the calibration tells it: auto where the topic "
        'is not named image_rect* (files have no topic), always, never (default: %(default)s)')
    add('--depth-hint', metavar='T',
        help='join a depth camera in: its topic in the bag, aligned to the images, or, beside '
        'images, a folder of 16-bit PNGs in millimetres of their names')
    add('--depth-hint-prior', type=number(0.0, 2.0),
        default=OF_PRIOR['depth_hint_prior'], metavar='S',
        help="what is known of the network's scale before a hint, as standard deviation of its "
        'logarithm; 0: the camera it was trained on (default: %(default)s)')
    add('--depth-hint-any-scale', action='store_true',
        help="take hints too whose metres are no camera's of which the network says these: mostly "
        'they are of other units')
    add_ground(group, 'where no depth hint does, the ground tells the scale of all depths (the '
               'parameter ground_scale)')
    add('--every', type=count(1), default=1, metavar='N',
        help='take every N-th image (default: %(default)s)')
    add('--start', type=number(0.0), default=0.0, metavar='S',
        help='begin S seconds after the first image')
    add('--end', type=number(0.0, open_low=True), metavar='S',
        help='end S seconds after the first image')


def add_ground(parser: argparse._ActionsContainer, told: str) -> None:
    """
    Add how the camera is mounted above level ground.

    :param told: what is read off the ground then.
    """
    add = parser.add_argument
    add('--camera-height', type=number(0.0, HIGHEST_M, open_low=True), metavar='M',
        help=f'of the camera above level ground: {told}')
    add('--camera-pitch', type=number(-STEEPEST_DEG, STEEPEST_DEG), metavar='DEG',
        default=OF_GROUND['camera_pitch'],
        help='by so much the optical axis points below the horizon (default: %(default)s)')
    add('--ground-classes', nargs='+', default=OF_GROUND['ground_classes'], metavar='NAME',
        help="of the network's classes those that are ground (default: floor)")


def add_source(parser: argparse._ActionsContainer) -> None:
    """Add what every command takes that reads a bag, or images in its place."""
    add = parser.add_argument
    add('--image-topic', metavar='T', help='of a bag; default: the only one it has')
    add('--camera-info-topic', metavar='T', help='default: the one beside the image topic')
    add('--rate', type=number(0.1, 1000.0), default=10.0, metavar='HZ',
        help='of image files without stamps (default: %(default)s)')


def add_model(parser: argparse._ActionsContainer) -> None:
    """Add which checkpoint runs, and where."""
    add = parser.add_argument
    add('--model', type=Path, metavar='FILE', help='checkpoint; default: the one of the package')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')


def _add_output(group: argparse._ArgumentGroup) -> None:
    add, on_off = group.add_argument, argparse.BooleanOptionalAction
    add('--panels', type=_panels, default=50, metavar='N',
        help="PNGs, spread over the input: a number, 'all' or 'none'; %(default)s")
    add('--video', action=on_off, default=True, help='video.mp4 of the panels (default: on)')
    add('--mcap', action=on_off, default=None,
        help="recording/: the node's topics with the input's stamps; on where rosbags is "
        'installed')
    add('--topics', nargs='+', choices=NAMES, default=(), metavar='NAME',
        help=f"those of the recording, of {', '.join(NAMES)}; flag and scores are always in it; "
        f'default: all but points, {LABEL_INFO} and promised maps')
    add('--promise-level', type=number(0.01, 0.999), metavar='P',
        help='share of the pixels for which depth/interval and label_set_size of the recording '
        'hold, one that the checkpoint was fitted for; of images that are believed, while the '
        'flag is lowered (default: 0.9)')
    add('--maps', action='store_true', help='maps/*.npz: the float maps')
    add('--output-size', choices=('camera', 'network'), default='camera',
        help='size of all maps (default: %(default)s)')
    add('--depth-color-max', type=number(0.001, 1000.0), metavar='M',
        help="depth in the top colour; default: of image files each scene's own, which its bar "
        "says; of videos, bags and cameras the checkpoint's range, so that colours compare")
    add('--sigma-color-max', type=number(0.001, 1000.0), default=1.0, metavar='M',
        help='depth sigma in the top colour (default: %(default)s)')
    add('--no-progress', action='store_true', help='no progress bar')


def _add_risk(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    for row in SCORES.values():
        add(f'--{row.parameter.replace("_", "-")}', type=number(0.0, row.highest), default=0.0,
            metavar=(row.suffix[1:] or 'x').upper(),
            help=f"{row.words} above which an image is uncertain; 0: the checkpoint's")
    add('--risk-scores', nargs='+', choices=tuple(SCORES), default=(), metavar='NAME',
        help=f"those that raise the flag, of {', '.join(SCORES)}; default: all that have a "
        'threshold')
    add('--risk-region', type=number(0.0, 1.0), nargs=4, default=(),
        metavar=('TOP', 'BOTTOM', 'LEFT', 'RIGHT'),
        help='part of the image whose mean uncertainties are judged, as fractions; the '
        "checkpoint's thresholds are the whole image's")
    add('--raise-after', type=count(1), default=OF_STREAMS['raise_after'], metavar='N',
        help='uncertain images in a row that raise the flag (default: %(default)s)')
    add('--clear-after', type=count(1), default=OF_STREAMS['clear_after'], metavar='N',
        help='certain images in a row that lower it (default: %(default)s)')
    add('--clear-below', type=number(0.0, 1.0, open_low=True),
        default=OF_STREAMS['clear_below'], metavar='X',
        help='share of its threshold that no score of such an image exceeds (default: '
        '%(default)s)')
    add('--judge', choices=('auto', 'each', 'stream'), default='auto',
        help='each: every image by itself, as stills that have nothing to do with each other; '
        'stream: as a camera, by --raise-after, --clear-after, --clear-below and --stale-after; '
        'auto: each for image files, stream for videos, bags and cameras (default: %(default)s)')
    add('--stale-after', type=number(0.0, open_low=True), default=OF_STREAMS['stale_after'],
        metavar='S',
        help='gap in a bag or video that raises it (default: %(default)s)')
    add('--unknown-label-entropy', type=number(0.0, 10.0), default=0.0, metavar='NAT',
        help='label 255 where the entropy is above; 0: off')
    add('--unknown-depth-sigma', type=number(0.0, 1000.0), default=0.0, metavar='M',
        help='depth NaN where sigma is above; 0: off')


def number(low: float, high: float = math.inf, *, open_low: bool = False
           ) -> Callable[[str], float]:
    """Return a parser of a finite number in a range."""
    def parse_number(text: str) -> float:
        return _checked(Rule(float, low, high, open=open_low), float(text), text)
    parse_number.__name__ = 'number'
    return parse_number


def count(low: int) -> Callable[[str], int]:
    """Return a parser of a whole number from ``low`` on."""
    def parse_count(text: str) -> int:
        return _checked(Rule(int, low), int(text), text)
    parse_count.__name__ = 'whole number'
    return parse_count


def _checked(rule: Rule[Value], value: Value, text: str) -> Value:
    try:
        return rule.checked(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text}: {error}') from error


def _panels(text: str) -> int | None:
    return {'all': None, 'none': 0}[text] if text in ('all', 'none') else count(0)(text)
