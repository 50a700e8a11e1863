# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From a node's settings to what its images go through: network, converter, topics, cameras."""

from __future__ import annotations

from collections.abc import Callable

from emu_perception.model_file import resolve_model_file
from emu_perception.ros.bridge import choose_converter
from emu_perception.ros.camera_source import CameraSource
from emu_perception.ros.delivery_watch import DeliveryWatch
from emu_perception.ros.depth_hints import DepthHints
from emu_perception.ros.faults import Faults
from emu_perception.ros.hint_fusion import HintFusion
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.map_publishers import MapPublishers
from emu_perception.ros.map_rate import MapRate
from emu_perception.ros.model_checks import check_level
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameters import Settings
from emu_perception.ros.pipeline import Pipeline
from emu_perception.ros.predictor_pool import PredictorPool
from emu_perception.ros.publishing_thread import PublishingThread
from emu_perception.ros.risk_publisher import RiskPublisher
from rclpy.lifecycle import LifecycleNode


def configured(node: LifecycleNode, pool: PredictorPool, settings: Callable[[], Settings], *,
               risk: RiskPublisher, publishing: PublishingThread, statistics: Statistics,
               faults: Faults, log: QuietLog, map_rate: MapRate) -> tuple[Pipeline, str]:
    """
    Return a new pipeline, its network loaded and warmed up, and in words what converts images.

    What is given lives as long as the node.

    :param settings: as they are at the moment that they are asked for.
    :raises EmuError: one line, with nothing left in memory and no topic made.
    """
    asked = settings()
    path = resolve_model_file(asked.model_file)
    convert, converter = choose_converter()
    predictor = pool.take(path, device=asked.device, precision=asked.precision,
                          backend=asked.backend)
    try:
        asked.check_classes(predictor.metadata.classes)
        check_level(asked.promise_level, predictor.metadata)
        maps = MapPublishers(node, predictor.metadata, hinted=asked.rescaled)
    except Exception:
        predictor.close()
        raise
    suffix = '/compressed' if asked.transport == 'compressed' else ''
    camera = CameraSource(node.resolve_topic_name('image') + suffix,
                          node.resolve_topic_name('camera_info'))
    hints = DepthHints(node.resolve_topic_name('depth_hint')) if asked.depth_hint else None
    fusion = HintFusion(hints, log) if asked.rescaled else None
    return Pipeline(predictor=predictor, convert=convert, camera=camera, risk=risk, maps=maps,
                    publishing=publishing, statistics=statistics, faults=faults,
                    settings=settings, log=log, map_rate=map_rate,
                    delivery=DeliveryWatch(), fusion=fusion), converter
