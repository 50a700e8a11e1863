# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A camera made of files: publishes a folder of images, a video, a bag or a webcam."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields, replace
import os
import signal
import sys
import threading
from typing import Any

import cv2
from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.image_encoding import to_jpeg
from emu_perception.cameras.judgement import judge, readings_differ
from emu_perception.cameras.lens import distorts
from emu_perception.cameras.opening import open_source
from emu_perception.cameras.source import InputImage
from emu_perception.cameras.topics import in_doubt, looks_rectified
from emu_perception.commands.program import program
from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.parameter_files import unknown_parameters
from emu_perception.ros.replay_parameters import RATE_HZ, ReplayParameters
from emu_perception.ros.shared_memory import use_shared_memory
import numpy as np
import rclpy
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

_MAX_SPIN_S = 0.1  # A signal does not wake the executor.


class ReplayCamera(Node):
    """
    Publish ``image`` (or ``image/compressed``) and, where a calibration is known, ``camera_info``.

    ``~/step`` publishes one frame (the way to pace a slow receiver); its answer names the frame
    and its stamp, ``<name> <seconds>.<nanoseconds>``.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Read the parameters and open the source.

        :raises InputError: if a parameter or the source cannot be used.
        """
        super().__init__('replay_camera', **kwargs)
        self._given = given = ReplayParameters.declared(self)
        for line in unknown_parameters(getattr(self, '_parameter_overrides', {}),
                                       [field.name for field in fields(given)]):
            self.get_logger().warning(line)
        if given.exit_at_end and given.loop:
            self.get_logger().warning('parameter exit_at_end is set, and loop, by which a source '
                                      'has no end: set loop to false')
        self._waiting = given.wait_for_listener
        self._info = (read_calibration(expanded(given.camera_info_file))
                      if given.camera_info_file else None)
        self._open = ExitStack()
        try:
            self._source = self._open.enter_context(open_source(
                given.source, RATE_HZ, image_topic=given.image_topic or None))
        except InputError as error:
            raise InputError(f'source {error}') from error
        if given.clock and not self._source.stamped:
            self._open.close()
            raise InputError(f'parameter clock is set, but the images of {given.source} have no '
                             'stamps of their own: give a bag')
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10) if given.clock else None
        self._images = self._source.images()
        qos = QoSProfile(depth=1, reliability=(
            QoSReliabilityPolicy.RELIABLE if given.reliability == 'reliable'
            else QoSReliabilityPolicy.BEST_EFFORT))
        self._compressed = given.transport == 'compressed'
        self._image_publisher = (
            self.create_publisher(CompressedImage, self.resolve_topic_name('image')
                                  + '/compressed', qos) if self._compressed
            else self.create_publisher(Image, 'image', qos))
        self._info_publisher = self.create_publisher(CameraInfo, 'camera_info', qos)
        self.published = self.skipped = 0
        self._told: set[str] = set()
        self._ended = False
        self._step_service = self.create_service(Trigger, '~/step', self._on_step)
        self._rectified = looks_rectified(self._image_publisher.topic_name)
        rate = given.rate_hz or self._source.rate_hz
        if not given.step:
            # Who makes /clock cannot wait for it, as it would with use_sim_time.
            self._timer = self.create_timer(1.0 / rate, self._on_timer, clock=RosClock(
                clock_type=ClockType.STEADY_TIME) if given.clock else None)
        self.get_logger().info(
            f'{given.source}: {"frame by frame (~/step)" if given.step else f"{rate:g} Hz"} on '
            f'{self._image_publisher.topic_name}')

    def publish_next(self) -> tuple[str, Header] | None:
        """Publish the next readable frame; None at the end of the source."""
        rewound = False
        while True:
            image = self._next_image()
            if image is None and self._source.live:
                self._skip('the camera', 'gave no image')
                self._images = self._source.images()
                return None
            if image is None:
                # A whole round without one readable frame must not become an endless loop.
                if not self._given.loop or rewound:
                    return None
                self._images = self._source.images()
                rewound = True
                continue
            try:
                pixels = image.read()
            except InputError as error:
                self._skip(image.name, str(error))
                if self._source.live:
                    return None
                continue
            return image.name, self._publish(image, pixels)

    def destroy_node(self) -> None:
        """Free the video or device too."""
        if hasattr(self, '_open'):
            self._open.close()
        super().destroy_node()

    def _next_image(self) -> InputImage | None:
        try:
            return next(self._images, None)
        except InputError as error:  # A bag that is damaged further on.
            self._say_once(str(error))
            return None

    def _publish(self, image: InputImage, pixels: np.ndarray) -> Header:
        stamp = self.get_clock().now()
        if self._clock_publisher is not None:
            stamp = Time(nanoseconds=image.header.stamp_ns)
            self._clock_publisher.publish(Clock(clock=stamp.to_msg()))
        header = Header(stamp=stamp.to_msg(), frame_id=self._given.frame_id)
        height, width = pixels.shape[:2]
        camera = self._camera_of(image, width, height)
        as_it_is = camera is None or camera.rectification is None
        if camera is not None:
            pixels = camera.rectified(pixels)
        most = self._given.max_side
        scale = most / max(width, height) if most else 1.0
        if scale < 1.0:
            height, width = (max(1, round(side * scale)) for side in (height, width))
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            camera = camera and camera.scaled(width, height)
        if camera is not None:  # Before the image: a receiver has both when the image arrives.
            self._info_publisher.publish(to_camera_info(camera.info, header))
        if self._compressed:
            own = image.encoded() if scale >= 1.0 and as_it_is else None
            # A file's own JPEG loses nothing; all else becomes one, as a camera would send it.
            data, form = own if own and 'jpeg' in own[1] else to_jpeg(pixels)
            message = CompressedImage(header=header, format=form, data=data)
        else:
            message = _raw(pixels, header)
        self._image_publisher.publish(message)
        self.published += 1
        return header

    def _camera_of(self, image: InputImage, width: int, height: int) -> Camera | None:
        info = self._info or image.info
        if info is None:
            problem = image.info_problem or image.info_missing
            if problem:
                self._say_once(f'{problem}: no camera_info is sent')
            return None
        apart = image.apart_from(info, width, height)
        if apart:
            self._say_once(f'{image.name}: {apart}; no camera_info for such images', key='turned')
            return None
        what = 'camera_info_file' if self._info else f'{image.name}: its calibration'
        # A reader goes by the name of the topic. What is rectified already goes out under another
        # name without the distortion that its calibration remembers, and what is not, under a name
        # that says it is, has to be.
        recorded_rect = looks_rectified(image.topic)
        already = recorded_rect and distorts(info)
        doubt = readings_differ(info) if in_doubt(image.topic) else ''
        if doubt:
            self._say_once(f'{what} {doubt}, and a folder of {image.topic} is named rect*, '
                           'its last part is not: whether such images are rectified is not known; '
                           'no camera_info for them; rename the topic in the recording',
                           key='in_doubt')
            return None
        judgement = judge(info, width, height, rectified=self._rectified or already,
                          rectify=self._rectified and not recorded_rect, what=what)
        camera = judgement.camera
        if judgement.problem is not None:
            self._say_once(f'{judgement.problem.text}: no camera_info for such images',
                           key=judgement.problem.code)
        for warning in judgement.warnings:
            if warning.code != 'distorted':  # Whoever reads it rectifies it.
                self._say_once(warning.text, key=warning.code)
        if camera is not None and already and not self._rectified:
            camera = replace(camera, info=camera.pinhole)
        return camera

    def _skip(self, name: str, problem: str) -> None:
        self.skipped += 1
        self._say_once(f'{name}: {problem}: skipped ({self.skipped} so far)',
                       key=f'skip {problem}')

    def _on_timer(self) -> None:
        if self._waiting and not self._image_publisher.get_subscription_count():
            return
        self._waiting = False
        if self.publish_next() is None and not self._source.live:
            self._at_end()

    def _on_step(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        published = self.publish_next()
        response.success = published is not None
        if published is None:
            response.message = 'end of source'
            self._at_end()
        else:
            name, header = published
            response.message = f'{name} {header.stamp.sec}.{header.stamp.nanosec:09d}'
        return response

    def _at_end(self) -> None:
        if not self._ended:
            self._ended = True
            if self.published:
                self.get_logger().info(f'end of source: {self.published} published, '
                                       f'{self.skipped} skipped')
            else:
                self.get_logger().error(f'{self._given.source}: no image of it can be read: '
                                        'nothing is published')
        if self._given.exit_at_end:
            raise SystemExit(0 if self.published else 1)

    def _say_once(self, text: str, key: str = '') -> None:
        if (key or text) not in self._told:
            self._told.add(key or text)
            self.get_logger().warning(text)


def _raw(image: np.ndarray, header: Header) -> Image:
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='rgb8', step=3 * width)
    message.data = image.tobytes()
    return message


def main(args: list[str] | None = None) -> int:
    """Run until a signal comes (0), or end with 1 and one line if the source cannot be used."""
    stop = threading.Event()
    # Not rclpy's handlers: on Ctrl-C the terminal and ros2 launch both send a signal, and the
    # second would interrupt the end that the first has begun.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    shared_memory = use_shared_memory(os.environ)
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    code = 0
    try:
        node = ReplayCamera()
        node.get_logger().info(shared_memory)
    except Exception as error:
        # Anything a user can cause: a parameter of another type, a path, a device.
        print(f'{program("replay_camera")}: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=_MAX_SPIN_S)
    except ExternalShutdownException:
        pass
    except SystemExit as end:
        code = int(end.code or 0)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    # The interpreter's end puts handlers back to the default, which would die of a late signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return code


if __name__ == '__main__':
    sys.exit(main())
