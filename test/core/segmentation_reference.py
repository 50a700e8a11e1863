# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Label, entropy and confidence in float64, and how far float32 may be from them.

With z = the upsampled logit over the temperature, d = z - max z, S = sum e^d:
H = log S - sum(e^d d) / S and c = 1 / S. Both terms of H are between 0 and log K.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from rounding import rounding, weights_error
import torch
from torch.nn import functional as F

Maps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Reference:
    """
    The exact maps [H, W] of one image, with bounds for those that float32 gives.

    :ivar gap: by how much the best logit is above the second.
    :ivar logit: bound of a logit's error; labels may differ where the gap is below twice this.
    """

    label: torch.Tensor
    entropy: torch.Tensor
    confidence: torch.Tensor
    gap: torch.Tensor
    logit: float
    entropy_bound: float
    confidence_bound: float

    def judged(self, maps: Maps) -> tuple[int, float, float]:
        """Return labels that rounding cannot explain, and errors as shares of their bounds."""
        label, entropy, confidence = maps
        flips = (label.long() != self.label) & (self.gap > 2 * self.logit)
        return (int(flips.sum()),
                float((entropy.double() - self.entropy).abs().max()) / self.entropy_bound,
                float((confidence.double() - self.confidence).abs().max()) / self.confidence_bound)


def reference(raw: torch.Tensor, size: tuple[int, int] | None = None,
              temperature: float = 1.0) -> Reference:
    """
    Return what ``segmentation_maps`` should give.

    :param raw: [K, h, w], of any floating type.
    :param size: (height, width) of the maps; None = those of the logits.
    """
    exact = raw.double()
    size = (raw.shape[-2], raw.shape[-1]) if size is None else size
    z = F.interpolate(exact[None], size=size, mode='bilinear', align_corners=False)[0]
    z = z / temperature
    classes, largest = len(raw), float(exact.abs().max()) / temperature
    probability = z.softmax(dim=0)
    best = z.topk(min(2, classes), dim=0).values
    gap = best[0] - best[1] if classes > 1 else torch.full_like(best[0], math.inf)
    # Coordinates; six roundings of the four taps and their weights, two of the temperature.
    logit = 0.0 if size == raw.shape[-2:] and temperature == 1.0 else (
        weights_error(raw, size) / temperature + rounding(8, largest))
    # Each class is up to five operations on S and on sum(e^d d), where the maximum so far moves
    # with the classes. d itself is off by u |d|, and the mean of d² is at most (2 + log K)².
    nats = math.log(classes)
    terms = rounding(5 * classes + 10 + (2 + nats) ** 2)
    entropy = terms * (1 + nats) + 2 * nats * logit
    return Reference(
        z.argmax(0), -(probability * z.log_softmax(dim=0)).sum(0), probability.max(0).values, gap,
        logit, entropy, terms + logit / 2)
