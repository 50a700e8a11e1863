# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The result of one pass: what each pixel is, how far it is, and how far to trust both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from emu_perception.cameras.camera import Camera
from emu_perception.errors import InputError
from emu_perception.risk import RiskState
import numpy as np

UNLABELLED = 255


@dataclass(frozen=True)
class Scale:
    """
    The factor of an image's metres, which all its pixels share.

    :ivar factor: what the network's metres were multiplied by.
    :ivar sigma: relative standard deviation of it. It is in ``depth_sigma`` already, and does not
        average away over pixels: whoever takes a mean of depths has at least this error.
    """

    factor: float
    sigma: float


class Presents(Protocol):
    """What the Predictor knows of a prediction beyond its maps: ``presenting.Presenter``."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes, by index."""

    def risk(self, prediction: Prediction) -> RiskState:
        """Return the flag of this image, judged by itself."""

    def plot(self, prediction: Prediction) -> np.ndarray:
        """Return a panel, rgb8."""

    def png(self, prediction: Prediction) -> bytes:
        """Return that panel as a PNG."""

    def save(self, prediction: Prediction, folder: str | Path) -> Path:
        """Write files, and return their folder."""

    def promised(self, prediction: Prediction, name: str, level: float) -> np.ndarray:
        """Return a promised map."""

    def points(self, prediction: Prediction, camera: Camera | None) -> np.ndarray:
        """Return a point for each pixel."""


@dataclass(frozen=True)
class Prediction:
    """
    Maps of one image, all of the same height and width, C-contiguous, and its scores.

    The tables ``maps.MAPS`` and ``scores.SCORES`` say what there may be. A task that the
    checkpoint does not have leaves its maps and scores out; the properties are None then.

    :ivar maps: HxW by name.
    :ivar scores: one number each, read off the *network's* grid: what the risk flag compares,
        independent of the size of the maps.
    :ivar network_size: (height, width) the network ran at.
    :ivar timing_ms: milliseconds of each stage: ``preprocess``, ``network``, ``postprocess``, and
        ``instances`` where there are any to find.
    :ivar statistics: float32 [N] of the network's maps, what fitted scores are made of; None
        where the checkpoint has no such scores.
    :ivar presenter: what makes pictures, files and points of it; set by the Predictor.
    :ivar scale: what is known of the factor from the network's metres to these, where a depth
        camera or the ground tells it; None elsewhere.
    """

    maps: Mapping[str, np.ndarray]
    scores: Mapping[str, float]
    network_size: tuple[int, int]
    timing_ms: dict[str, float] = field(default_factory=dict)
    statistics: np.ndarray | None = None
    scale: Scale | None = None
    presenter: Presents | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return what there is, in one line: the maps themselves are hundreds of numbers."""
        sizes = {f'{values.shape[1]}x{values.shape[0]}' for values in self.maps.values()}
        scores = ', '.join(f'{name}={value:.3g}' for name, value in self.scores.items())
        maps = f'{" ".join(sorted(sizes))}: {", ".join(self.maps)}' if sizes else 'no maps'
        return f'Prediction({maps}; scores: {scores or "none"})'

    @property
    def label(self) -> np.ndarray | None:
        """Return the class index of each pixel, uint8 HxW; 255 = unlabelled."""
        return self.maps.get('label')

    @property
    def segmentation_entropy(self) -> np.ndarray | None:
        """Return the predictive entropy of the softmax, float32 HxW, nats, 0..ln K."""
        return self.maps.get('segmentation_entropy')

    @property
    def confidence(self) -> np.ndarray | None:
        """Return the probability of the most likely class, float32 HxW, 0..1."""
        return self.maps.get('confidence')

    @property
    def depth(self) -> np.ndarray | None:
        """
        Return metres along the optical axis, float32 HxW.

        +inf beyond the checkpoint's range, NaN where the network gives no usable value.
        """
        return self.maps.get('depth')

    @property
    def depth_variance(self) -> np.ndarray | None:
        """Return the predictive variance of the depth, float32 HxW, m²."""
        return self.maps.get('depth_variance')

    @property
    def depth_sigma(self) -> np.ndarray | None:
        """Return the standard deviation of the depth, float32 HxW, metres."""
        variance = self.maps.get('depth_variance')
        return None if variance is None else np.sqrt(variance)

    @property
    def mutual_information(self) -> np.ndarray | None:
        """
        Return what is not known of the labels, float32 HxW, nats; None of most checkpoints.

        It is of the ensemble that the network learned from: by how much its members disagree.
        """
        return self.maps.get('mutual_information')

    @property
    def depth_epistemic_sigma(self) -> np.ndarray | None:
        """
        Return what is not known of the network's depth, float32 HxW, metres; None of most.

        It is of the ensemble's mean depths, and stays the network's where a sensor is joined in.
        """
        variance = self.maps.get('depth_epistemic_variance')
        return None if variance is None else np.sqrt(variance)

    @property
    def depth_source(self) -> np.ndarray | None:
        """
        Return where each depth is from, uint8 HxW; None where no depth camera is joined in.

        0 the network, 1 the network corrected by what the sensor sees nearby, 2 the sensor, 255
        unknown.
        """
        return self.maps.get('depth_source')

    @property
    def scale_sigma(self) -> float | None:
        """Return the relative error that all depths share; None where it is not known."""
        return None if self.scale is None else self.scale.sigma

    @property
    def instance(self) -> np.ndarray | None:
        """
        Return the number of each pixel's object in this image, uint16 HxW, 0 = none.

        It means nothing in the next image.
        """
        return self.maps.get('instance')

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the maps."""
        first = next(iter(self.maps.values()), None)
        assert first is not None, 'a Prediction has at least one task'
        return first.shape[0], first.shape[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes: ``names[label[row, column]]``; 255 has none."""
        return self._presented('names').names

    @property
    def risk(self) -> RiskState:
        """Return the flag of this image judged by itself, with its reason."""
        return self._presented('risk').risk(self)

    def depth_interval(self, level: float = 0.9) -> np.ndarray:
        """
        Return from where to where each depth is, float32 [H, W, 2], metres; NaN, NaN unknown.

        Of so many pixels of a new room, on average over rooms: docs/promises.md says what is and
        what is not promised. Of an image whose flag is raised it is no promise.

        :raises InputError: where it does not hold, as for a checkpoint without constants, another
            camera, or depths whose scale a depth camera or the ground tells.
        """
        return self._presented('depth_interval').promised(self, 'depth_interval', level)

    def label_set_size(self, level: float = 0.9) -> np.ndarray:
        """
        Return how many of the most likely classes hold the true one, uint8 [H, W]; as above.

        :raises InputError: where it does not hold.
        """
        return self._presented('label_set_size').promised(self, 'label_set_size', level)

    def plot(self) -> np.ndarray:
        """Return image, labels, flag, depth and uncertainties in one picture, uint8 HxWx3 rgb."""
        return self._presented('plot').plot(self)

    def save(self, folder: str | Path) -> Path:
        """
        Write pictures, labels, depth, float maps and prediction.json; return the folder.

        panel.png, label.png, label_color.png, depth_mm.png (0 unknown; left out where the focal
        length is not known), maps.npz.

        :raises InputError: if it cannot be written.
        """
        return self._presented('save').save(self, folder)

    def to_pointcloud(self, camera: Camera | None = None) -> np.ndarray:
        """
        Return a point for each pixel: x y z (metres, optical frame), rgb, label, sigma; [H, W].

        ``points[np.isfinite(points['z'])]`` are those that are known.

        :param camera: of the image; None: a pinhole of the ``fx`` that was predicted with.
        :raises InputError: if there is no depth, or it is not to this camera's scale.
        """
        return self._presented('to_pointcloud').points(self, camera)

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows."""
        return self._presented('_repr_png_').png(self)

    def _presented(self, name: str) -> Presents:
        if self.presenter is None:
            raise InputError(f'{name}: this prediction was made by hand; those of a Predictor '
                             'know their image and model')
        return self.presenter
