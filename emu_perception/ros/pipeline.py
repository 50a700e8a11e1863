# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to one image: message, pixels, prediction, risk flag, maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
import time
import traceback
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from emu_perception.errors import InputError
from emu_perception.risk import RiskReason, RiskState
from emu_perception.ros.bridge import Converter
from emu_perception.ros.camera_source import CameraSource
from emu_perception.ros.image_messages import compressed_to_rgb
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.map_messages import Frame
from emu_perception.ros.parameters import Settings
from emu_perception.ros.predictor_pool import empty_cuda_cache, SharedPredictor
from emu_perception.ros.publishers import MapPublishers
from emu_perception.ros.risk_publisher import RiskPublisher
from emu_perception.ros.statistics import Statistics

_LOG_EVERY_S = 5.0


@dataclass(frozen=True)
class Job:
    """An image in the mailbox: when it arrived (steady clock) and in which session."""

    message: Image | CompressedImage
    received_s: float
    session: int


@dataclass(frozen=True)
class Pipeline:
    """Everything an image needs on its way; runs on the worker's thread."""

    node: Node
    predictor: SharedPredictor
    convert: Converter
    camera: CameraSource
    risk: RiskPublisher
    maps: MapPublishers
    statistics: Statistics
    settings: Callable[[], Settings]
    log: QuietLog

    def process(self, job: Job) -> None:
        """Process one image; whatever goes wrong is counted, said, and raises the flag."""
        self.statistics.work_begins(time.monotonic())
        try:
            self._process(job)
        except InputError as error:
            self._fault(job, RiskReason.UNUSABLE_INPUT, str(error))
        except Exception as error:
            text = f'{type(error).__name__}: {" ".join(str(error).split())}'
            if 'out of memory' in text.lower() or 'OutOfMemory' in text:
                text = f'out of GPU memory, going on with the next image ({text})'
                # The frames of the network's layers hold on to its maps until they are cleared.
                traceback.clear_frames(error.__traceback__)
                empty_cuda_cache()
            self._fault(job, RiskReason.FAILURE, text)
        finally:
            self.statistics.work_ends()

    def _process(self, job: Job) -> None:
        settings = self.settings()  # one snapshot: a change half-way never mixes two settings
        message, header = job.message, job.message.header
        started = time.monotonic()
        rgb = (compressed_to_rgb(message) if isinstance(message, CompressedImage)
               else self.convert(message))
        height, width = rgb.shape[:2]
        camera = self.camera.model_for(width, height, use=settings.use_camera_info,
                                       stamp=header.stamp)
        self._warn_about_camera(camera is None, camera is not None and camera.distorted)
        converted = time.monotonic()
        prediction = self._predict(rgb, camera.fx if camera else None, settings)
        predicted = time.monotonic()
        state = self.risk.observe(job.session, header, prediction.mean_segmentation_entropy,
                                  prediction.mean_depth_sigma)
        if state is None:
            self.statistics.dropped('deactivated')
            return
        means = (prediction.mean_segmentation_entropy, prediction.mean_depth_sigma)
        # Not by the flag's reason: that stays 'failure' until enough good images have come.
        if not all(mean is None or math.isfinite(mean) for mean in means):
            # The flag is up already, and such maps mislead.
            self._count('failure', state.detail)
            return
        self._publish(Frame(header, rgb, camera), prediction, state, settings, job)
        done = time.monotonic()
        times = {
            'waiting_time_ms': (started - job.received_s) * 1e3,
            'conversion_time_ms': (converted - started) * 1e3,
            'prediction_time_ms': (predicted - converted) * 1e3,
            **{f'{stage}_time_ms': ms for stage, ms in prediction.timing_ms.items()},
            'publish_time_ms': (done - predicted) * 1e3,
            'processing_time_ms': (done - started) * 1e3}
        if header.stamp.sec or header.stamp.nanosec:
            # Autoware's definition: age of the image when its results are out.
            stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
            now_ns = self.node.get_clock().now().nanoseconds
            times['pipeline_latency_ms'] = (now_ns - stamp_ns) / 1e6
        self.statistics.processed(done, times)

    def _predict(self, rgb: Any, fx: float | None, settings: Settings) -> Any:
        self.predictor.unknown_label_entropy = settings.unknown_label_entropy or None
        size = None
        if settings.output_size == 'network' or not self.maps.wanted():
            # Without a listener only the flag counts, which does not depend on the maps' size.
            size = self.predictor.network_size(rgb.shape[:2])
        return self.predictor(rgb, size=size, fx=fx)

    def _publish(self, frame: Frame, prediction: Any, state: RiskState, settings: Settings,
                 job: Job) -> None:
        self.maps.publish(frame, prediction, state, settings,
                          lambda: self.risk.is_current(job.session))

    def _warn_about_camera(self, missing: bool, distorted: bool) -> None:
        if missing:
            self.log.once(f'camera {self.camera.problem}',
                          f'{self.camera.problem}: depth is NOT scaled to this camera, and there '
                          'are no points and no camera_info')
        if distorted:
            self.log.once('distortion', f'{self.camera.image_topic} is not rectified, but its '
                          'camera has distortion: depth and points are off towards the edges; '
                          'remap `image` to a rectified topic (image_rect)')

    def _fault(self, job: Job, reason: RiskReason, text: str) -> None:
        if not self.risk.is_current(job.session):
            # The topics may be gone already: no fault of anybody.
            self.statistics.dropped('deactivated')
            return
        self.risk.fault(job.session, reason, text, job.message.header)
        self._count(reason.value, text)

    def _count(self, cause: str, text: str) -> None:
        self.statistics.dropped(cause, text)
        self.log.every(_LOG_EVERY_S, cause, f'image dropped ({cause}): {text}')
