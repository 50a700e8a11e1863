# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics in an MCAP, as if the node had run while the input was recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emu_perception import visualization
from emu_perception.cameras.image_encoding import to_jpeg
from emu_perception.cameras.topics import beside
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.drawing import ColorRanges
from emu_perception.commands.result import Result
from emu_perception.prediction import Prediction
from emu_perception.recordings.messages import Header
from emu_perception.recordings.writer import RecordingWriter
from emu_perception.risk import RiskState, RiskThresholds
from emu_perception.risk_status import banner_text, status_fields
from emu_perception.scores import SCORES
import numpy as np

NODE = '/emu'


class RecordingOutput:
    """
    Writes every result with the stamp and frame_id of its image.

    :ivar writer: the bag.
    """

    def __init__(self, folder: Path, metadata: CheckpointMetadata, ranges: ColorRanges,
                 image_topic: str, thresholds: RiskThresholds, sources: Mapping[str, str]) -> None:
        """Make the bag ``folder``, which must not exist."""
        self.writer = RecordingWriter(folder)
        self._metadata, self._ranges, self._image_topic = metadata, ranges, image_topic
        self._thresholds, self._sources = thresholds, sources

    def add(self, result: Result) -> None:
        """Write input, maps, scores and flag."""
        if result.went_stale is not None:
            self._risk(result.went_stale,
                       Header(result.went_stale_ns, result.source.header.frame_id))
        self._input(result)
        header = result.source.header
        if result.prediction is not None:
            self._maps(result, result.prediction, header)
            for name, row in SCORES.items():
                if name in result.risk.scores:  # Without those in metres of no known lens.
                    self._write(row.topic, self.writer.make.number(result.risk.scores[name]),
                                header)
        self._risk(result.risk, header)

    def close(self) -> None:
        """Finish the file."""
        self.writer.close()

    def _input(self, result: Result) -> None:
        source, make = result.source, self.writer.make
        header = source.header
        if result.camera is not None:
            self.writer.write(beside(self._image_topic),
                              make.camera_info(result.camera.info, header), header.stamp_ns)
        if source.record is not None:
            self.writer.write_raw(self._image_topic, source.record.kind, source.record.data,
                                  header.stamp_ns)
        elif result.rgb is not None:
            data, form = source.encoded() or to_jpeg(result.rgb)
            self.writer.write(self._image_topic, make.compressed_image(data, form, header),
                              header.stamp_ns)

    def _maps(self, result: Result, prediction: Prediction, header: Header) -> None:
        for name, (pixels, encoding) in self._pictures(result, prediction).items():
            self._write(name, self.writer.make.image(pixels, encoding, header), header)
        if result.camera is not None:
            height, width = prediction.size
            info = self.writer.make.camera_info(result.camera.scaled(width, height).info,
                                                header)
            self._write('camera_info', info, header)
            if result.depth is not None:
                self._write('depth/camera_info', info, header)

    def _pictures(self, result: Result, prediction: Prediction
                  ) -> dict[str, tuple[np.ndarray, str]]:
        color: Callable[..., np.ndarray] = visualization.scalar_color
        shown, found = result.picture(), {}
        label, entropy = prediction.label, prediction.segmentation_entropy
        if label is not None and entropy is not None and prediction.confidence is not None:
            confidence = np.clip(np.nan_to_num(prediction.confidence), 0.0, 1.0)
            shown = visualization.overlay(shown, label, self._metadata.palette)
            found['label'] = label, 'mono8'
            found['label_color'] = visualization.label_color(label, self._metadata.palette), 'rgb8'
            found['confidence'] = np.rint(confidence * 255.0).astype(np.uint8), 'mono8'
            if prediction.instance is not None:
                shown = visualization.instance_outlines(shown, prediction.instance)
                found['instance'] = prediction.instance, '16UC1'
            found['segmentation_uncertainty'] = entropy, '32FC1'
            found['segmentation_uncertainty_color'] = (
                color(entropy, 0.0, self._ranges.entropy_nat), 'rgb8')
        sigma = prediction.depth_sigma
        # As the node withholds them: metres of a camera that nobody knows are none.
        if result.depth is not None and sigma is not None and result.camera is not None:
            found['depth/image'] = result.depth, '32FC1'
            found['depth_uncertainty'] = sigma, '32FC1'
            found['depth_uncertainty_color'] = color(sigma, 0.0, self._ranges.sigma_m), 'rgb8'
        found['overlay'] = visualization.risk_banner(shown, result.risk.raised,
                                                     banner_text(result.risk)), 'rgb8'
        return found

    def _risk(self, state: RiskState, header: Header) -> None:
        make = self.writer.make
        self._write('risk', make.flag(state.raised), header, latched=True)
        level, message, values = status_fields(state, self._thresholds, self._sources)
        self._write('risk_status', make.status('emu: risk', level, message, values, header),
                    header)

    def _write(self, name: str, message: Any, header: Header, *, latched: bool = False) -> None:
        self.writer.write(f'{NODE}/{name}', message, header.stamp_ns, latched=latched)
