# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A prediction for people: names, the flag, a picture, files and points of one image."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
from emu_perception import visualization
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.intrinsics import scale_problem
from emu_perception.maps import MAPS
from emu_perception.panels import in_scene_colors, panel_of
from emu_perception.points import points_of
from emu_perception.prediction import Prediction
from emu_perception.promises.holding import promise_problem, promises_for
from emu_perception.risk import RiskMonitor, RiskReason, RiskState
from emu_perception.risk_status import resolve_thresholds
from emu_perception.scores import SCORES
from emu_perception.shown import Look, Shown, to_millimetres
from emu_perception.whole_files import whole_file, write_json, write_whole
import numpy as np

PANEL, LABEL, LABEL_COLOR = 'panel.png', 'label.png', 'label_color.png'
DEPTH, MAPS_FILE, DOCUMENT = 'depth_mm.png', 'maps.npz', 'prediction.json'
# What may be between the focal length that depth was scaled by and a camera's: rounding.
_SAME_FX = 0.01


class Presenter:
    """
    What a Predictor knows of a prediction beyond its maps.

    :param rgb: uint8 HxWx3, the image that was predicted.
    :param fx: pixels at its size, that its depth was scaled by; None = unknown.
    :param unjudged: why the checkpoint's thresholds do not judge it; the flag is raised then.
    """

    def __init__(self, metadata: CheckpointMetadata, rgb: np.ndarray, fx: float | None, *,
                 unjudged: str = '') -> None:
        self._metadata, self._rgb = metadata, rgb
        self._fx = None if fx is None else float(fx)  # NumPy's own kinds are no JSON.
        self._unjudged = unjudged

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes, by index."""
        return self._metadata.classes

    def risk(self, prediction: Prediction) -> RiskState:
        """Return the flag of this image, judged by itself."""
        thresholds, _ = resolve_thresholds({}, self._metadata.calibration)
        monitor = RiskMonitor(thresholds, clear_after=1, clear_below=1.0, expected=(
            () if self._unjudged else self._metadata.score_names))
        monitor.activate()
        if self._unjudged:
            return monitor.observe(prediction.scores, 0.0, reason=RiskReason.UNCERTAIN,
                                   detail=self._unjudged)
        problem = self._scale_problem
        return monitor.observe(prediction.scores, 0.0, detail=problem, reason=(
            RiskReason.NO_CALIBRATION if problem else RiskReason.NONE))

    def plot(self, prediction: Prediction) -> np.ndarray:
        """Return a panel of image, labels, depth and uncertainties with their legends, rgb8."""
        shown = in_scene_colors(Shown(self._rgb, prediction, self.risk(prediction),
                                      Look.of(self._metadata, {})), self._rgb)
        return panel_of(shown, self._metadata, to_scale=not self._scale_problem)

    def png(self, prediction: Prediction) -> bytes:
        """Return that panel as a PNG."""
        return _png(cv2.cvtColor(self.plot(prediction), cv2.COLOR_RGB2BGR))

    def save(self, prediction: Prediction, folder: str | Path) -> Path:
        """
        Write the panel, labels, depth, the float maps and what they mean; files are replaced.

        :return: the folder.
        :raises InputError: if it cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / PANEL, self.png(prediction))
            if prediction.label is not None:
                write_whole(folder / LABEL, _png(prediction.label))
                colors = visualization.label_color(prediction.label, self._metadata.palette)
                write_whole(folder / LABEL_COLOR, _png(cv2.cvtColor(colors, cv2.COLOR_RGB2BGR)))
            if prediction.depth is not None and not self._scale_problem:
                # Millimetres without a scale would be taken for true ones.
                write_whole(folder / DEPTH, _png(to_millimetres(prediction.depth)))
            arrays: dict[str, Any] = {row.given_name: row.given(prediction.maps[row.name])
                                      for row in MAPS.values() if row.name in prediction.maps}
            with whole_file(folder / MAPS_FILE) as file:
                np.savez(file, **arrays)
            write_json(folder / DOCUMENT, self._document(prediction), indent=2)
        except OSError as error:
            raise InputError(f'{error.filename or folder}: cannot be written '
                             f'({error.strerror or error})') from error
        return folder

    def promised(self, prediction: Prediction, name: str, level: float) -> np.ndarray:
        """
        Return a promised map.

        :raises InputError: where it does not hold for this image.
        """
        focal = None if self._fx is None else self._fx / self._rgb.shape[1]
        fused = prediction.scale is not None
        problem = self._unjudged or promise_problem(
            self._metadata, name, level, focal=focal, fused=fused)
        if problem:
            raise InputError(f'{name}: {problem}')
        promises = promises_for(self._metadata, level, focal=focal, fused=fused)
        found = Shown(self._rgb, prediction, self.risk(prediction),
                      Look.of(self._metadata, {}, promises=promises)).given(name)
        assert found is not None, 'what has no problem is there'
        return found

    def points(self, prediction: Prediction, camera: Camera | None) -> np.ndarray:
        """
        Return a point for each pixel, [H, W] of ``points.POINT``, in the optical frame.

        :param camera: of the image; None: a pinhole of the ``fx`` that was given, its principal
            point in the middle.
        :raises InputError: if there is no depth, or none to this camera's scale.
        """
        if prediction.depth is None:
            raise InputError('to_pointcloud: the checkpoint has no task depth')
        if self._fx is None or self._scale_problem:
            raise InputError(f'to_pointcloud: {self._scale_problem}')
        height, width = self._rgb.shape[:2]
        if camera is None:
            camera = judge(pinhole_info(width, height, self._fx), width, height, rectified=True,
                           what='fx').needed()
        if (camera.width, camera.height) != (width, height):
            raise InputError(f'to_pointcloud: the camera is of {camera.width}x{camera.height}, '
                             f'the image of {width}x{height}: give the camera of this image')
        if abs(camera.fx / self._fx - 1) > _SAME_FX:
            raise InputError(f'to_pointcloud: the camera has fx {camera.fx:g}, but depth was '
                             f'scaled by fx {self._fx:g}: predict with fx={camera.fx:g}')
        rows, columns = prediction.size
        shown = Shown(self._rgb, prediction, self.risk(prediction), Look.of(self._metadata, {}))
        return points_of(prediction.depth, shown.picture, camera.scaled(columns, rows),
                         label=prediction.label, sigma=prediction.depth_sigma)

    @cached_property
    def _scale_problem(self) -> str:
        """Return why the depths are not metres of this camera; '' where they are, or none."""
        if 'depth' not in self._metadata.tasks:
            return ''
        return scale_problem(self._metadata) or (
            '' if self._fx is not None else 'the prediction was made without a focal length, so '
            "its depth is not to this camera's scale: call predictor(image, fx=...)")

    def _document(self, prediction: Prediction) -> dict[str, Any]:
        risk = self.risk(prediction)
        height, width = prediction.size
        return {
            'model': self._metadata.name, 'width': width, 'height': height, 'fx_px': self._fx,
            'depth_is_to_scale': not self._scale_problem, 'names': list(self.names),
            'palette': [list(color) for color in self._metadata.palette],
            'risk': risk.raised, 'reason': risk.reason.value, 'detail': risk.detail,
            'scores': {SCORES[name].key: value for name, value in prediction.scores.items()},
            'maps': {row.given_name: {'unit': row.given_unit, 'unknown': row.unknown}
                     for row in MAPS.values() if row.name in prediction.maps}}


def _png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode('.png', pixels)[1].tobytes())
