# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the metrics of labels are made of: probabilities [K, H, W] reduced to maps [H, W]."""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.uncertainty import RUN
import numpy as np
import torch

from .nearly_entropy import nearly_entropy, plain_entropy
from .probability_runs import Probabilities, Whole


@dataclass(frozen=True)
class LabelMaps:
    """
    Maps [H, W] of one image.

    :ivar guess: the most probable class, of ties the first, uint8 or int64.
    :ivar confidence: its probability, float32.
    :ivar entropy: nats, float32; on a CPU as ``nearly_entropy`` gives it.
    :ivar squares: sum of p², float32.
    :ivar p_true: probability of the true class, float32; None where there is no truth. Of pixels
        without one it says nothing.
    """

    guess: torch.Tensor
    confidence: torch.Tensor
    entropy: torch.Tensor
    squares: torch.Tensor
    p_true: torch.Tensor | None = None


def label_maps(probabilities: torch.Tensor | Probabilities,
               label: torch.Tensor | None = None) -> LabelMaps:
    """
    Return the maps of an image.

    On a CPU in runs of pixels, each made or read once, by NumPy, which has vectors for all of it:
    torch compares and takes logarithms value by value.

    :param probabilities: float32 [K, H, W], K up to 255.
    :param label: true class [H, W], K and above = none.
    """
    if isinstance(probabilities, torch.Tensor):
        probabilities = Whole(probabilities)
    classes, *size = probabilities.shape
    true = None if label is None else label.long().clamp(max=classes - 1)
    if isinstance(probabilities, Whole) and probabilities.device.type != 'cpu':
        p = probabilities.maps
        largest = p.max(0)
        return LabelMaps(largest.indices, largest.values, plain_entropy(p), p.square().sum(0),
                         None if true is None else p.gather(0, true[None])[0])
    pixels = size[0] * size[1]
    guess: np.ndarray = np.empty(pixels, np.uint8)
    confidence, entropy, squares = (np.empty(pixels, np.float32) for _ in range(3))
    p_true = None if true is None else torch.empty(1, pixels)
    # Of classes that tie the first is the largest.
    places = np.arange(classes, 0, -1, dtype=np.uint8)[:, None]
    memory, same = np.empty((classes, RUN), np.float32), np.empty((classes, RUN), bool)
    for run, found in probabilities.runs():
        part = found.numpy()
        terms, hits = memory[:, :part.shape[1]], same[:, :part.shape[1]]
        np.equal(part, part.max(0, out=confidence[run]), out=hits)
        ranks = hits.view(np.uint8)
        np.subtract(classes, np.multiply(ranks, places, out=ranks).max(0), out=guess[run])
        nearly_entropy(part, entropy[run], terms)
        np.square(part, out=terms).sum(0, out=squares[run])
        if true is not None and p_true is not None:
            torch.gather(found, 0, true.view(1, -1)[:, run], out=p_true[:, run])
    if np.isnan(confidence).any():  # Equal to nothing: the first that is none is the largest.
        for run, found in probabilities.runs():
            guess[run] = found.max(0).indices.numpy()
    maps = [torch.from_numpy(x).view(*size) for x in (guess, confidence, entropy, squares)]
    return LabelMaps(maps[0], maps[1], maps[2], maps[3],
                     None if p_true is None else p_true.view(*size))
