# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The result of one pass: what each pixel is, how far it is, and how far to trust both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    :ivar scale: what is known of the factor from the network's metres to these, where a depth
        camera is joined in; None elsewhere.
    """

    maps: Mapping[str, np.ndarray]
    scores: Mapping[str, float]
    network_size: tuple[int, int]
    timing_ms: dict[str, float] = field(default_factory=dict)
    statistics: np.ndarray | None = None
    scale: Scale | None = None

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
