# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is given of one image: maps, and pictures of them; the same for the node and emu_run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
from emu_perception import visualization
from emu_perception.maps import MapRow, MAPS, NUMBERS, PALETTE
from emu_perception.prediction import Prediction
from emu_perception.promises.constants import PromiseLevel
from emu_perception.risk import RiskState
from emu_perception.risk_status import banner_text
from emu_perception.topics import OVERLAY, Topic
import numpy as np

if TYPE_CHECKING:  # The checkpoint package needs torch, which a node may lack until configure.
    from emu_perception.checkpoint.metadata import CheckpointMetadata


@dataclass(frozen=True)
class Look:
    """
    What maps and pictures of them look like.

    :ivar palette: rgb by class index.
    :ivar tops: value in the top colour, by name of the map; scales are fixed, so that colours
        compare over time.
    :ivar overlay_alpha: weight of the label colours over the image, 0..1.
    :ivar unknown_depth_sigma: metres; depth becomes NaN where sigma is above. 0: off.
    :ivar depth_encoding: of the topic of the depth: '32FC1' metres, '16UC1' millimetres.
    :ivar promises: constants of the promised maps that hold for the image, by their names.
    """

    palette: visualization.Palette
    tops: Mapping[str, float]
    overlay_alpha: float = 0.5
    unknown_depth_sigma: float = 0.0
    depth_encoding: str = '32FC1'
    promises: Mapping[str, PromiseLevel] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: CheckpointMetadata, tops: Mapping[str, float], *,
           overlay_alpha: float = 0.5, unknown_depth_sigma: float = 0.0,
           depth_encoding: str = '32FC1',
           promises: Mapping[str, PromiseLevel] | None = None) -> Look:
        """
        Return the look of a network's maps.

        :param tops: of the maps where it is not the table's; 0 is the table's.
        :param promises: as ``promises_for`` gives them; None = none are asked for.
        """
        return cls(metadata.palette, {
            name: tops.get(name) or row.top(metadata) for name, row in MAPS.items() if row.top},
            overlay_alpha, unknown_depth_sigma, depth_encoding, promises or {})


class Shown:
    """
    One image with its prediction and flag, as it is given to others; each thing is made once.

    :param rgb: uint8 HxWx3, of any size.
    """

    def __init__(self, rgb: np.ndarray, prediction: Prediction, risk: RiskState, look: Look
                 ) -> None:
        self.prediction, self.risk, self.look = prediction, risk, look
        self._rgb = rgb
        self._given: dict[str, np.ndarray] = {}

    @cached_property
    def picture(self) -> np.ndarray:
        """Return the image at the size of the maps."""
        height, width = self.prediction.size
        if self._rgb.shape[:2] == (height, width):
            return self._rgb
        return cv2.resize(self._rgb, (width, height), interpolation=cv2.INTER_AREA)

    @cached_property
    def overlay(self) -> np.ndarray:
        """Return the image under the colours of its labels and the outlines of its objects."""
        label, instance = self.prediction.label, self.prediction.instance
        picture = self.picture
        if label is not None:
            picture = visualization.overlay(picture, label, self.look.palette,
                                            self.look.overlay_alpha)
        return picture if instance is None else visualization.instance_outlines(picture, instance)

    def given(self, name: str) -> np.ndarray | None:
        """Return what users get of a map of ``maps.MAPS``; None where this image has none."""
        made = MAPS[name].made
        if name not in (self.look.promises if made else self.prediction.maps):
            return None
        if name not in self._given:
            # A promise is of the network's own depths: not of those that are left when some are
            # made unknown.
            values = (made(self.prediction.maps, self.look.promises[name].factors) if made
                      else MAPS[name].given(self.prediction.maps[name]))
            self._given[name] = self._limited(values) if name == 'depth' else values
        return self._given[name]

    def colored(self, row: MapRow) -> np.ndarray | None:
        """Return the picture of a map that has colours, rgb8; None where this image has none."""
        values = self.given(row.name)
        if values is None:
            return None
        if row.color == PALETTE:
            return visualization.label_color(values, self.look.palette)
        if row.color == NUMBERS:
            return (visualization.label_color(values, row.numbered) if row.numbered
                    else visualization.instance_color(values))
        return visualization.scalar_color(values, 0.0, self.look.tops[row.name])

    def image(self, topic: Topic) -> tuple[np.ndarray, str] | None:
        """Return pixels and encoding of a topic of images; None where this image has nothing."""
        if topic.name == OVERLAY:
            return visualization.risk_banner(self.overlay, self.risk.raised,
                                             banner_text(self.risk)), 'rgb8'
        assert topic.row is not None, 'images are of one map, or the overlay'
        if topic.colored:
            picture = self.colored(topic.row)
            return None if picture is None else (picture, 'rgb8')
        values = self.given(topic.row.name)
        if values is None:
            return None
        if topic.row.name == 'depth' and self.look.depth_encoding == '16UC1':
            return to_millimetres(values), '16UC1'
        return topic.row.pixels(values), topic.row.encoding

    def _limited(self, depth: np.ndarray) -> np.ndarray:
        limit, sigma = self.look.unknown_depth_sigma, self.given('depth_variance')
        if not limit > 0 or sigma is None:
            return depth
        # Written so that a sigma that is NaN makes the depth unknown too.
        return np.where(sigma <= limit, depth, np.float32(np.nan))


def to_millimetres(depth: np.ndarray) -> np.ndarray:
    """
    Return a depth in metres as REP 118's uint16: whole millimetres, 0 where there is none.

    Beyond 65.535 m there is none either: the nearest value that fits would be a lie.
    """
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1e3)
    fits = (millimetres > 0) & (millimetres <= np.iinfo(np.uint16).max)
    return np.where(fits, millimetres, 0.0).astype(np.uint16)
