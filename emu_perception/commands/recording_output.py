# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics in an MCAP, as if the node had run while the input was recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.image_encoding import to_jpeg
from emu_perception.cameras.topics import beside
from emu_perception.commands.result import Result
from emu_perception.recordings.messages import Header
from emu_perception.recordings.writer import RecordingWriter
from emu_perception.risk import RiskState, RiskThresholds
from emu_perception.risk_status import status_fields, status_names
from emu_perception.scores import SCORES
from emu_perception.shown import Shown
from emu_perception.topics import CAMERA_INFO, IMAGE, NUMBER, topics_of

NODE = '/emu'


class RecordingOutput:
    """
    Writes every result with the stamp and frame_id of its image.

    :ivar writer: the bag.
    """

    def __init__(self, folder: Path, tasks: Collection[str], image_topic: str,
                 thresholds: RiskThresholds, sources: Mapping[str, str], *,
                 hinted: bool = False) -> None:
        """
        Make the bag ``folder``, which must not exist, for a network of these tasks.

        :param hinted: whether a depth camera is joined in.
        """
        self.writer = RecordingWriter(folder)
        self._topics, self._image_topic = topics_of(tasks, hinted=hinted), image_topic
        self._thresholds, self._sources = thresholds, sources

    def add(self, result: Result) -> None:
        """Write input, maps, scores and flag."""
        if result.went_stale is not None:
            self._risk(result.went_stale,
                       Header(result.went_stale_ns, result.source.header.frame_id))
        self._input(result)
        header = result.source.header
        if result.shown is not None:
            self._maps(result.shown, result.camera, header)
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
            info = make.camera_info(result.camera.info_of_input, header)
            self.writer.write(beside(self._image_topic), info, header.stamp_ns)
        if source.record is not None:
            self.writer.write_raw(self._image_topic, source.record.kind, source.record.data,
                                  header.stamp_ns)
        elif result.rgb is not None:
            data, form = source.encoded() or to_jpeg(result.rgb)
            self.writer.write(self._image_topic, make.compressed_image(data, form, header),
                              header.stamp_ns)

    def _maps(self, shown: Shown, camera: Camera | None, header: Header) -> None:
        make = self.writer.make
        height, width = shown.prediction.size
        for topic in self._topics:
            if topic.in_metres and camera is None:
                continue  # As the node withholds them.
            if topic.kind == IMAGE:
                found = shown.image(topic)
                if found is not None:
                    self._write(topic.name, make.image(*found, header), header)
            elif topic.kind == NUMBER and shown.prediction.scale_sigma is not None:
                self._write(topic.name, make.number(shown.prediction.scale_sigma), header)
            elif topic.kind == CAMERA_INFO and camera is not None:
                info = camera.outgoing(width, height)
                self._write(topic.name, make.camera_info(info, header), header)

    def _risk(self, state: RiskState, header: Header) -> None:
        make = self.writer.make
        self._write('risk', make.flag(state.raised), header, latched=True)
        level, message, values = status_fields(state, self._thresholds, self._sources)
        names = status_names('emu: risk', state)
        self._write('risk_status', make.statuses(names, level, message, values, header), header)

    def _write(self, name: str, message: Any, header: Header, *, latched: bool = False) -> None:
        self.writer.write(f'{NODE}/{name}', message, header.stamp_ns, latched=latched)
