# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to one image: message, pixels, prediction, risk flag; then others publish it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import time

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.rectified_camera import UNRECTIFIABLE
from emu_perception.errors import InputError
from emu_perception.intrinsics import scale_problem
from emu_perception.objection import objection
from emu_perception.prediction import Prediction
from emu_perception.predicts import predict
from emu_perception.region import Region
from emu_perception.risk import problem_of, RiskReason
from emu_perception.ros.arrivals import Arrivals
from emu_perception.ros.bridge import Converter
from emu_perception.ros.camera_source import CameraSource
from emu_perception.ros.delivery_watch import DeliveryWatch
from emu_perception.ros.faults import Faults
from emu_perception.ros.hint_fusion import HintFusion
from emu_perception.ros.image_messages import compressed_to_rgb
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.map_messages import Frame
from emu_perception.ros.map_publishers import MapPublishers
from emu_perception.ros.map_rate import MapRate
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameters import Settings
from emu_perception.ros.predictor_pool import SharedPredictor
from emu_perception.ros.publishing_thread import MapSet, PublishingThread
from emu_perception.ros.risk_publisher import RiskPublisher
from emu_perception.ros.timings import Timings
from emu_perception.scores import SCORES
from emu_perception.topics import TOPICS
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

_LOG_EVERY_S = 5.0
WITHHELD = ', '.join(f'~/{name}' for name in (
    *(topic.name for topic in TOPICS.values() if topic.in_metres and not topic.hinted),
    *(row.topic for row in SCORES.values() if row.in_metres)))


@dataclass(frozen=True)
class WaitingImage:
    """An image in the mailbox: when it arrived (steady clock), in which session, after which."""

    message: Image | CompressedImage
    received_s: float
    session: int
    arrivals: Arrivals


@dataclass(frozen=True)
class Pipeline:
    """Everything an image needs on its way; runs on the worker's thread."""

    predictor: SharedPredictor
    convert: Converter
    camera: CameraSource
    risk: RiskPublisher
    maps: MapPublishers
    publishing: PublishingThread
    statistics: Statistics
    faults: Faults
    settings: Callable[[], Settings]
    log: QuietLog
    map_rate: MapRate
    delivery: DeliveryWatch
    fusion: HintFusion | None = None

    def process(self, waiting: WaitingImage) -> None:
        """Process one image; whatever goes wrong is counted, said, and raises the flag."""
        free_s = self.statistics.work_begins(time.monotonic())
        try:
            self._process(waiting, max(waiting.received_s, free_s))
        except InputError as error:
            self.faults.report(waiting.session, waiting.message.header, RiskReason.UNUSABLE_INPUT,
                               str(error))
        except Exception as error:
            self.faults.failure(waiting.session, waiting.message.header, error)
        finally:
            self.statistics.work_ends(time.monotonic())

    def _process(self, waiting: WaitingImage, turn_s: float) -> None:
        settings = self.settings()  # one snapshot: a change half-way never mixes two settings
        message, header = waiting.message, waiting.message.header
        started = time.monotonic()
        if self.fusion is not None:
            self.fusion.expect(message, settings)
        arrival = waiting.arrivals.judge(message, settings)
        if arrival.repeated:
            self._drop_repeated(message)
            return
        raw = (compressed_to_rgb(message) if isinstance(message, CompressedImage)
               else self.convert(message))
        for warning in waiting.arrivals.see(raw):
            self.log.once(warning.code, warning.text)
        camera, rgb = self._seen(raw, header, settings)
        converted = time.monotonic()
        due = self.map_rate.is_due(waiting.received_s, max_rate_hz=settings.max_rate_hz,
                                   on_request=settings.on_request)
        try:
            prediction = self._predict(rgb, camera.fx if camera else None, settings, due)
            if self.camera.came_late(header.stamp):
                camera, rgb = self._seen(raw, header, settings)
                prediction = self._predict(rgb, camera.fx if camera else None, settings, due)
        except Exception:
            if due:
                self.map_rate.failed()
            raise
        predicted = time.monotonic()
        stale = arrival.stale or waiting.arrivals.outlived(waiting.received_s, settings)
        reason, detail = objection(self.metres_withheld, stale, self._miscalibrated(settings))
        state = self.risk.observe(waiting.session, header, prediction.scores, reason=reason,
                                  detail=detail)
        if state is None:
            self.faults.ended()
            return
        # Not by the flag's reason: that stays 'failure' until enough good images have come.
        if problem_of(prediction.scores, self.predictor.metadata.score_names):
            # The flag is up already, and such maps mislead.
            self.faults.count('failure', state.detail)
            if due:
                self.map_rate.failed()
            return
        flagged = time.monotonic()
        # After the flag, which waits for no other sensor; what that contradicts goes out raised.
        if self.fusion is not None and camera is not None and prediction.depth is not None:
            prediction = self.fusion.fused(rgb, prediction, camera, waiting.received_s, settings,
                                           self.predictor.metadata.classes)
            if reason is RiskReason.NONE:
                reason, detail = objection('', miscalibrated=self._miscalibrated(settings))
                if detail:
                    state = self.risk.observe(waiting.session, header, prediction.scores,
                                              reason=reason, detail=detail) or state
        self.publishing.offer(MapSet(
            session=waiting.session, frame=Frame(header, rgb, camera), prediction=prediction,
            state=state, settings=settings, maps=self.maps, due=due,
            timings=Timings(waiting.received_s, turn_s, started, converted, predicted,
                            flagged_s=flagged, predictor_ms=prediction.timing_ms)))
        # Behind all that others wait for.
        self._ask_for_delivery(rgb, prediction, predicted - converted, settings)

    def _ask_for_delivery(self, rgb: np.ndarray, prediction: Prediction, took_s: float,
                          settings: Settings) -> None:
        def scores(image: np.ndarray) -> Mapping[str, float]:
            return predict(self.predictor, image, fx=None, at_network_size=True,
                           unknown_label_entropy=0.0, score_region=None).scores
        try:
            problem = self.delivery.see(
                rgb, self.predictor.metadata, scores, took_s=took_s,
                waits_s=min(settings.stale_after_s, settings.max_image_age_s),
                now_s=time.monotonic(),
                # A region's would be another part of a picture that is turned.
                own=None if settings.risk_region else prediction.scores)
        except Exception:
            return  # The flag has had its image's answer; what is wrong the next image's says.
        if problem:
            self.log.once(problem, problem)  # There may be two of them.

    def _seen(self, raw: np.ndarray, header: Header, settings: Settings
              ) -> tuple[Camera | None, np.ndarray]:
        """Return the image's camera, None where there are no metres, and what it is shown as."""
        height, width = raw.shape[:2]
        camera = self.camera.camera_for(width, height, use=settings.use_camera_info,
                                        stamp=header.stamp, frame_id=header.frame_id,
                                        fallback_hfov_deg=settings.fallback_hfov_deg,
                                        rectify=settings.rectify)
        self._warn_about_camera()
        # Its outputs in metres need both cameras, this one and the training's.
        if camera is None or scale_problem(self.predictor.metadata):
            return None, raw
        return camera, camera.rectified(raw)

    def _predict(self, rgb: np.ndarray, fx: float | None, settings: Settings, due: bool
                 ) -> Prediction:
        # Without a listener only the flag counts, which does not depend on the maps' size.
        return predict(
            self.predictor, rgb, fx=fx, unknown_label_entropy=settings.unknown_label_entropy,
            score_region=Region.of(settings.risk_region),
            at_network_size=settings.output_size == 'network'
            or not (due and self.maps.wanted()))

    def _miscalibrated(self, settings: Settings) -> str:
        if self.fusion is None:
            return ''
        watched = self.fusion.problem if settings.calibration_watch else ''
        return self.fusion.contradiction or watched

    @property
    def metres_withheld(self) -> str:
        """Return why the last image's metres are withheld, and which; '' where they are not."""
        metadata, problem = self.predictor.metadata, self.camera.judgement.problem
        text = scale_problem(metadata) or (problem.text if problem else '')
        return f'{text}: withheld {WITHHELD}' if text and 'depth' in metadata.tasks else ''

    def _drop_repeated(self, message: Image | CompressedImage) -> None:
        stamp = message.header.stamp
        text = (f'the stamp of the last image again, {stamp.sec}.{stamp.nanosec:09d}: is the '
                'camera frozen?')
        self.statistics.dropped('same_stamp', text)
        self.log.every(_LOG_EVERY_S, 'same_stamp', f'image dropped (same_stamp): {text}')

    def _warn_about_camera(self) -> None:
        problem, withheld = self.camera.judgement.problem, self.metres_withheld
        if scale_problem(self.predictor.metadata):
            self.log.once('no training camera', f'{withheld} and ~/camera_info, and the risk flag '
                          'stays raised')
        elif problem and withheld:
            remedy = ('' if problem.code == UNRECTIFIABLE else '; who knows the field of view can '
                      'set the parameter fallback_hfov_deg')
            self.log.once(f'camera {problem.code}', f'{withheld} and ~/camera_info, and the risk '
                          f'flag stays raised{remedy}')
        elif problem:
            self.log.once(f'camera {problem.code}', f'{problem.text}: there is no ~/camera_info')
        for warning in self.camera.judgement.warnings:
            self.log.once(f'camera {warning.code}', warning.text)
        if self.camera.rectifying:
            self.log.once('rectifying', f'{self.camera.image_topic} is rectified here: '
                          f'{self.camera.rectifying}', warning=False)
