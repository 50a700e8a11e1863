# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What ``emu_run`` knows of one image when it writes it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.source import InputImage
from emu_perception.commands.hint_track import HintFigures
from emu_perception.commands.truth import Truth
from emu_perception.prediction import Prediction
from emu_perception.risk import RiskState
from emu_perception.shown import Shown
import numpy as np


@dataclass(frozen=True)
class Result:
    """
    One image with all that came of it.

    :ivar index: of the image among those that were processed, from 0.
    :ivar rgb: uint8 HxWx3 as it came, or None where it could not be read.
    :ivar camera: of the image that was shown to the network, rectified where it had to be; None
        where the focal length is not known.
    :ivar shown: what is given of it; None where there is no prediction, or its scores mislead.
    :ivar risk: the flag after this image.
    :ivar went_stale: the flag that came up in the gap before this image, or None.
    :ivar went_stale_ns: when.
    :ivar hint: of the depth camera; None where none is joined in, or there is no prediction.
    :ivar truth: of the maps, at their size; None where there is none beside the image.
    """

    index: int
    source: InputImage
    rgb: np.ndarray | None
    camera: Camera | None
    shown: Shown | None
    risk: RiskState
    went_stale: RiskState | None = None
    went_stale_ns: int = 0
    hint: HintFigures | None = None
    truth: Truth | None = None

    @property
    def prediction(self) -> Prediction | None:
        """Return what the network gave."""
        return None if self.shown is None else self.shown.prediction

    @property
    def unknown_depth_share(self) -> float | None:
        """Return the share of pixels whose depth is NaN or beyond the range."""
        depth = None if self.shown is None else self.shown.given('depth')
        return None if depth is None else 1.0 - float(np.isfinite(depth).mean())


class Output(Protocol):
    """Something that results are written to."""

    def add(self, result: Result) -> None:
        """Write one result."""

    def close(self) -> None:
        """Finish: the file can be opened afterwards, however many results there were."""
