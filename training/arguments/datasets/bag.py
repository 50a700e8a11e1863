# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot's own recording, a ROS 2 bag (sqlite3 or MCAP), as a data set folder.

Images and depth maps are paired by their header stamps, each with its nearest. Depth must be
registered to the image: of its size, seen from its camera (RealSense: align_depth.enable, topic
/camera/aligned_depth_to_color/image_raw). An image whose lens distorts, by its camera_info, is
rectified as the node rectifies it (--rectify), and depth and label with it.

The depth topic is the truth, holes and all. Or a hint (--depth-as hint): in what is trained on,
its holes are filled by a network that it corrects nearby, where that is sure; what is validated on
stays the sensor's alone, or the network would be judged by itself.

Topics are Image or
CompressedImage; depth is 16UC1 (mm) or 32FC1 (m). Stems are header stamps in nanoseconds. val.txt
is the last part of the recording: neighbouring frames are all but equal, and a random split would
measure memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from emu_perception.cameras.topics import AUTO, RECTIFY

from .output import add_output_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='a bag folder with metadata.yaml, or one .mcap or .db3 file')
    parser.add_argument('--image-topic', required=True, metavar='TOPIC')
    parser.add_argument('--depth-topic', required=True, metavar='TOPIC',
                        help='registered to the image')
    parser.add_argument('--label-topic', metavar='TOPIC',
                        help='class indices, as simulators publish them; 255 is unlabelled')
    parser.add_argument('--class-names', nargs='+', default=(), metavar='NAME',
                        help='of the label topic, from index 0')
    parser.add_argument('--camera-info-topic', metavar='TOPIC',
                        help='default: the camera_info beside the image topic, if there is one')
    parser.add_argument('--rectify', choices=RECTIFY, default=AUTO,
                        help="take the lens's distortion out: auto where the image topic is not "
                        'named image_rect*, always, never (default: %(default)s)')
    parser.add_argument('--depth-as', choices=('truth', 'hint'), default='truth',
                        help='hint: fill its holes by a network (default: %(default)s)')
    parser.add_argument('--model', type=Path, metavar='FILE',
                        help='checkpoint that fills them; default: the one of the package')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='keep every N-th matched frame (default: %(default)s); neighbours '
                        'teach little')
    parser.add_argument('--max-stamp-difference', type=float, default=0.02, metavar='S',
                        help='furthest that the stamps of one frame lie apart, s '
                        '(default: %(default)s)')
    parser.add_argument('--val-share', type=float, default=0.1, metavar='SHARE',
                        help='of the frames, from the end of the recording (default: %(default)s)')
    parser.add_argument('--min-depth', type=float, default=0.1, metavar='M',
                        help='depth up to here is invalid, m (default: %(default)s)')
    parser.add_argument('--max-depth', type=float, default=10.0, metavar='M',
                        help='depth from here on is invalid, m (default: %(default)s)')
    add_output_arguments(parser)
