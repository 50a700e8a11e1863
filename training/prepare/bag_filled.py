# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The holes of a recording's depth filled by a network, which the depth corrects nearby."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.cameras.camera import Camera
from emu_perception.fusion import checked_hint, CORRECTED, fused_prediction, refusal, ScaleBelief
from emu_perception.intrinsics import scale_problem
from emu_perception.predictor import Predictor
import numpy as np

from ..data.dataset_folder import DatasetError
from .bag_frames import BagFrame

# Less sure is what is not worth being taught.
_SURE = 0.15


class FilledDepth:
    """
    Fills frames in their order; the sensor's pixels stay as they are.

    Filled is what the sensor corrects nearby and whose relative sigma is below .15: glass, black
    and edges in a wall that is seen, not the far end of the room.

    :param model: checkpoint; None = the default model.
    :ivar share: of the pixels of all frames, that were filled.
    :raises EmuError: if the checkpoint cannot be used, or gives no metres.
    """

    def __init__(self, model: Path | None) -> None:
        self._predictor = Predictor.load(model)
        metadata = self._predictor.metadata
        if 'depth' not in metadata.tasks or scale_problem(metadata):
            raise DatasetError(f'{metadata.name}: gives no metres to fill holes with: '
                               f'{scale_problem(metadata) or "it has no task depth"}')
        self.name = metadata.name
        self._belief = ScaleBelief.before()
        self._filled = self._pixels = 0

    @property
    def share(self) -> float:
        """Return the share of pixels that were filled."""
        return self._filled / max(self._pixels, 1)

    def fill(self, frame: BagFrame, camera: Camera) -> BagFrame:
        """
        Return a frame with the holes of its depth filled.

        :raises DatasetError: if its depth cannot be of this camera, such as in other units.
        """
        height, width = frame.depth.shape
        hint = checked_hint(frame.depth, None, (height, width))
        prediction, fused = fused_prediction(
            self._predictor(frame.image, fx=camera.fx), frame.image, hint, self._belief)
        if fused.refused:
            raise DatasetError(f'{frame.stem}: its depth cannot be a hint: {refusal(fused)}')
        self._belief = fused.belief
        depth, sigma = prediction.depth, prediction.depth_sigma
        assert depth is not None and sigma is not None, 'it has the task depth'
        with np.errstate(invalid='ignore'):
            sure = (fused.source == CORRECTED) & np.isfinite(depth) & (sigma <= _SURE * depth)
        self._filled, self._pixels = self._filled + int(sure.sum()), self._pixels + sure.size
        return replace(frame, depth=np.where(sure, depth, frame.depth))
