# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics in an MCAP, as if the node had run while the input was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import logging
from pathlib import Path
import shutil
from typing import Any

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.image_encoding import to_jpeg
from emu_perception.cameras.topics import beside
from emu_perception.cloud_layout import packed, POINT
from emu_perception.commands.recorded_topics import LABEL_INFO, RecordedTopics
from emu_perception.commands.result import Result
from emu_perception.label_names import label_names
from emu_perception.points import points_of
from emu_perception.recordings.messages import Header
from emu_perception.recordings.writer import RecordingWriter
from emu_perception.risk import RiskState, RiskThresholds
from emu_perception.risk_status import Origin, status_fields, status_names
from emu_perception.scores import SCORES
from emu_perception.shown import Shown
from emu_perception.topics import CAMERA_INFO, IMAGE, NUMBER, POINTS, Topic

LOGGER = logging.getLogger('emu_perception')
NODE = '/emu'


class RecordingOutput:
    """
    Writes every result with the stamp and frame_id of its image.

    :ivar writer: the bag.
    :ivar images: that were written.
    """

    def __init__(self, folder: Path, topics: RecordedTopics, image_topic: str,
                 thresholds: RiskThresholds, sources: Mapping[str, Origin],
                 classes: Sequence[str] = (), expected: int | None = None) -> None:
        """
        Make the bag ``folder``, which must not exist.

        :param classes: of the network, by index.
        :param expected: how many images there will be, where that is known.
        """
        self.writer = RecordingWriter(folder)
        self.images = 0
        self._topics, self._image_topic = topics, image_topic
        self._thresholds, self._sources = thresholds, sources
        self._classes, self._expected = classes, expected
        self._size_said = False

    def add(self, result: Result) -> None:
        """Write input, maps, scores and flag."""
        if result.went_stale is not None:
            self._risk(result.went_stale,
                       Header(result.went_stale_ns, result.source.header.frame_id))
        header = result.source.header
        if self._topics.label_info and not self.images:
            self._write(LABEL_INFO, self.writer.make.label_info(
                label_names(self._classes), header), header, latched=True)
        if self._topics.input:
            self._input(result)
        if result.shown is not None:
            self._maps(result.shown, result.camera, header)
            for name, row in SCORES.items():
                if name in result.risk.scores:  # Without those in metres of no known lens.
                    self._write(row.topic, self.writer.make.number(result.risk.scores[name]),
                                header)
        self._risk(result.risk, header)
        self.images += 1
        if result.shown is not None and not self._size_said:
            self._size_said = True
            self._say_size()

    def mb_per_image(self) -> tuple[float, float]:
        """Return how much an image takes on the disk, and took before it was compressed, MB."""
        images = max(self.images, 1)
        return (self.writer.stored_bytes() / images / 1e6,
                self.writer.sizes.total() / images / 1e6)

    def _say_size(self) -> None:
        """Say, with the first image that has maps, what a recording of all will take."""
        each = self.writer.sizes.total() / self.images
        largest = ', '.join(f'{topic} {size / self.images / 1e6:.2f}' for topic, size
                            in self.writer.sizes.most_common(3) if size / self.images > each / 50)
        text = f'recording: {each / 1e6:.2f} MB an image before compression ({largest})'
        if self._expected is None:
            LOGGER.info('%s; --topics chooses', text)
            return
        whole, free = each * self._expected, shutil.disk_usage(self.writer.folder).free
        LOGGER.log(logging.INFO if whole < free else logging.WARNING,
                   '%s, up to %s for %d image%s, of %.1f GB free; --topics chooses', text,
                   f'{whole / 1e9:.2f} GB' if whole >= 1e9 else f'{whole / 1e6:.0f} MB',
                   self._expected, '' if self._expected == 1 else 's', free / 1e9)

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
        for topic in self._topics.maps:
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
            elif topic.kind == POINTS and camera is not None:
                self._points(topic, shown, camera.scaled(width, height), header)

    def _points(self, topic: Topic, shown: Shown, camera: Camera, header: Header) -> None:
        depth = shown.given('depth')
        if depth is not None:
            points = points_of(depth, packed(shown.picture), camera, layout=POINT,
                               label=shown.prediction.label, sigma=shown.given('depth_variance'))
            self._write(topic.name, self.writer.make.point_cloud(points, header), header)

    def _risk(self, state: RiskState, header: Header) -> None:
        make = self.writer.make
        self._write('risk', make.flag(state.raised), header, latched=True)
        level, message, values = status_fields(state, self._thresholds, self._sources)
        names = status_names('emu: risk', state)
        self._write('risk_status', make.statuses(names, level, message, values, header), header)

    def _write(self, name: str, message: Any, header: Header, *, latched: bool = False) -> None:
        self.writer.write(f'{NODE}/{name}', message, header.stamp_ns, latched=latched)
