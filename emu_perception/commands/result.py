# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What ``emu_run`` knows of one image when it writes it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.source import InputImage
from emu_perception.prediction import Prediction
from emu_perception.risk import RiskState
import numpy as np


@dataclass(frozen=True)
class Result:
    """
    One image with all that came of it.

    :ivar index: of the image among those that were processed, from 0.
    :ivar rgb: uint8 HxWx3, or None where it could not be read.
    :ivar camera: None where the focal length is not known.
    :ivar prediction: None where there is none, or where its means are not finite.
    :ivar depth: float32 HxW, metres; NaN where sigma is above the limit that was asked for too.
    :ivar risk: the flag after this image.
    :ivar went_stale: the flag that came up in the gap before this image, or None.
    :ivar went_stale_ns: when.
    """

    index: int
    source: InputImage
    rgb: np.ndarray | None
    camera: Camera | None
    prediction: Prediction | None
    depth: np.ndarray | None
    risk: RiskState
    went_stale: RiskState | None = None
    went_stale_ns: int = 0

    @property
    def unknown_depth_share(self) -> float | None:
        """Return the share of pixels whose depth is NaN or beyond the range."""
        return None if self.depth is None else 1.0 - float(np.isfinite(self.depth).mean())

    def picture(self) -> np.ndarray:
        """Return the image at the size of the maps."""
        assert self.rgb is not None and self.prediction is not None
        height, width = self.prediction.size
        if self.rgb.shape[:2] == (height, width):
            return self.rgb
        return cv2.resize(self.rgb, (width, height), interpolation=cv2.INTER_AREA)


class Output(Protocol):
    """Something that results are written to."""

    def add(self, result: Result) -> None:
        """Write one result."""

    def close(self) -> None:
        """Finish: the file can be opened afterwards, however many results there were."""


def depth_to_publish(prediction: Prediction, unknown_depth_sigma: float) -> np.ndarray | None:
    """Return the depth with NaN where sigma is above a limit in metres; 0: no limit."""
    depth = prediction.depth
    if depth is None or not unknown_depth_sigma > 0:
        return depth
    # Written so that a sigma that is NaN makes the depth unknown too.
    sigma = prediction.depth_sigma
    assert sigma is not None
    return np.where(sigma <= unknown_depth_sigma, depth, np.float32(np.nan))
