# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the metrics of labels are made of: probabilities [K, H, W] reduced to maps [H, W]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .nearly_entropy import nearly_entropy, plain_entropy

# Pixels of a run: of 40 classes 400 KB, which stay in the cache for all that is made of them.
RUN = 2560


@dataclass(frozen=True)
class LabelMaps:
    """
    Maps [H, W] of one image.

    :ivar guess: the most probable class, of ties the first, uint8 or int64.
    :ivar confidence: its probability, float32.
    :ivar entropy: nats, float32; on a CPU as ``nearly_entropy`` gives it.
    :ivar squares: sum of p², float32.
    """

    guess: torch.Tensor
    confidence: torch.Tensor
    entropy: torch.Tensor
    squares: torch.Tensor


def label_maps(probabilities: torch.Tensor) -> LabelMaps:
    """
    Return the maps of an image.

    On a CPU in runs of pixels, each read from memory once, by NumPy, which has vectors for all of
    it: torch compares and takes logarithms value by value.

    :param probabilities: float32 [K, H, W], K up to 255.
    """
    classes, size = len(probabilities), probabilities.shape[1:]
    if probabilities.device.type != 'cpu':
        largest = probabilities.max(0)
        return LabelMaps(largest.indices, largest.values, plain_entropy(probabilities),
                         probabilities.square().sum(0))
    p = probabilities.detach().flatten(1).numpy()
    guess: np.ndarray = np.empty(p.shape[1], np.uint8)
    confidence, entropy, squares = (np.empty(p.shape[1], np.float32) for _ in range(3))
    # Of classes that tie the first is the largest.
    places = np.arange(classes, 0, -1, dtype=np.uint8)[:, None]
    memory, same = np.empty((classes, RUN), np.float32), np.empty((classes, RUN), bool)
    for first in range(0, p.shape[1], RUN):
        run = slice(first, first + RUN)
        part = p[:, run]
        terms, hits = memory[:, :part.shape[1]], same[:, :part.shape[1]]
        np.equal(part, part.max(0, out=confidence[run]), out=hits)
        ranks = hits.view(np.uint8)
        np.subtract(classes, np.multiply(ranks, places, out=ranks).max(0), out=guess[run])
        nearly_entropy(part, entropy[run], terms)
        np.square(part, out=terms).sum(0, out=squares[run])
    if np.isnan(confidence).any():  # Equal to nothing: the first that is none is the largest.
        guess = probabilities.flatten(1).max(0).indices.numpy()
    maps = (torch.from_numpy(x).view(size) for x in (guess, confidence, entropy, squares))
    return LabelMaps(*maps)
