# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
``wait_for_frame TOPIC raw|compressed COMMAND ...``: start rviz2 in the frame of the images.

Waits for the first image, then becomes COMMAND with ``-f`` and the image's frame_id: without TF a
fixed frame that is not exactly the images' shows nothing. The launch file puts it before rviz2.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import signal
import sys
import threading
import time

from emu_perception.ros.qos import newest
import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

_TYPES: dict[str, type] = {'raw': Image, 'compressed': CompressedImage}
_SAY_EVERY_S = 10.0


def first_frame(topic: str, kind: str, stop: threading.Event) -> str | None:
    """Return the frame_id of the first image, None where ``stop`` was set before it came."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(f'wait_for_frame_{os.getpid()}', start_parameter_services=False)
    frames: list[str] = []

    def note(image: Image | CompressedImage) -> None:
        frames.append(image.header.frame_id)
    node.create_subscription(_TYPES[kind], topic, note, newest())
    said_s = time.monotonic()
    try:
        while not frames and not stop.is_set():
            rclpy.spin_once(node, timeout_sec=0.1)
            if time.monotonic() - said_s > _SAY_EVERY_S:
                said_s = time.monotonic()
                node.get_logger().info(
                    f'rviz2 waits for the first image on {topic}, whose frame it takes; '
                    'rviz_frame:=FRAME starts it at once')
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return frames[0] if frames else None


def main(args: Sequence[str] | None = None) -> int:
    """Wait, then be the command; 0 where a signal came before."""
    words = list(sys.argv[1:] if args is None else args)
    if len(words) < 3 or words[1] not in _TYPES:
        asked = words[:1] in (['-h'], ['--help'])
        print('usage: wait_for_frame TOPIC raw|compressed COMMAND [ARGUMENT ...]',
              file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    frame = first_frame(words[0], words[1], stop)
    if frame is None:
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a handler would not live on, but be ignored
    command = words[2:]
    sys.stdout.flush()
    os.execv(command[0], [command[0], '-f', frame, *command[1:]])


if __name__ == '__main__':
    sys.exit(main())
