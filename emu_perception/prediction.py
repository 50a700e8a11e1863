# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The result of one pass: what each pixel is, how far it is, and how far to trust both."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

UNLABELLED = 255


@dataclass(frozen=True)
class Prediction:
    """
    Maps of one image, all of the same height and width, C-contiguous.

    A task that the checkpoint does not have leaves its fields None.

    :ivar label: uint8 HxW, class index; 255 = unlabelled.
    :ivar depth: float32 HxW, metres along the optical axis; +inf beyond the checkpoint's range,
        NaN where the network gives no usable value.
    :ivar segmentation_entropy: float32 HxW, nats, 0..ln K (predictive entropy of the softmax).
    :ivar confidence: float32 HxW, 0..1, probability of the most likely class.
    :ivar depth_variance: float32 HxW, m², predictive variance.
    :ivar mean_segmentation_entropy: nats, mean over the pixels of the *network's* grid: what the
        risk flag compares, independent of the size of the maps.
    :ivar mean_depth_sigma: metres, mean of the standard deviation over the same pixels.
    :ivar network_size: (height, width) the network ran at.
    :ivar timing_ms: milliseconds of each stage: ``preprocess``, ``network``, ``postprocess``, and
        ``instances`` where there are any to find.
    :ivar instance: uint16 HxW, 0 = none, else the number of the object in this image: it means
        nothing in the next. None where the checkpoint finds no instances.
    """

    label: np.ndarray | None
    depth: np.ndarray | None
    segmentation_entropy: np.ndarray | None
    confidence: np.ndarray | None
    depth_variance: np.ndarray | None
    mean_segmentation_entropy: float | None
    mean_depth_sigma: float | None
    network_size: tuple[int, int]
    timing_ms: dict[str, float] = field(default_factory=dict)
    instance: np.ndarray | None = None

    @property
    def depth_sigma(self) -> np.ndarray | None:
        """Return the standard deviation of the depth, float32 HxW in metres."""
        return None if self.depth_variance is None else np.sqrt(self.depth_variance)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the maps."""
        maps = self.label if self.label is not None else self.depth
        assert maps is not None, 'a Prediction has at least one task'
        return maps.shape[0], maps.shape[1]
