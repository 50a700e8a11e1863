# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Entropies by vectors: every comparison falls as that of the plain formula does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from training.metrics.bins import entropy_bins
from training.metrics.certainty_cells import image_threshold
from training.metrics.label_maps import label_maps
from training.metrics.nearly_entropy import plain_entropy, settled

SIZE = (272, 256)


def probabilities(classes: int, scale: float, seed: int = 0) -> torch.Tensor:
    """Return a smooth softmax [K, H, W], as a network's upsampled logits give it."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(1, classes, 17, 16, generator=generator)
    return F.interpolate(logits, size=SIZE, mode='bilinear').softmax(1)[0]


def compared(entropy: torch.Tensor, bins: int) -> list[torch.Tensor]:
    """Return all that is asked of an image's entropies: bins, and who is below the thresholds."""
    wide = entropy.double()
    return [entropy_bins(bins).index(entropy),
            *(wide < image_threshold(entropy.flatten(), kind) for kind in ('mean', 'median'))]


@pytest.mark.parametrize('classes, scale', [(2, 3.0), (5, 1.0), (40, 4.0), (40, 40.0), (7, 1e-3)])
def test_they_compare_as_the_plain_ones(classes, scale):
    p = probabilities(classes, scale)
    found = settled(label_maps(p).entropy, p, entropy_bins(classes))
    for one, other in zip(compared(found, classes), compared(plain_entropy(p), classes)):
        assert torch.equal(one, other)


def test_what_lies_on_an_edge_is_taken_plainly():
    # Of these the entropy is ln 2 to the last bit or a bit beside it: the edge of bin 2048 of 4.
    half = torch.full(SIZE, 0.5)
    off = half + (torch.arange(half.numel()).view(SIZE) % 5 - 2) * 2.0**-20
    p = torch.stack([off, 1 - off, torch.zeros(SIZE), torch.zeros(SIZE)])
    found = settled(label_maps(p).entropy, p, entropy_bins(4))
    assert torch.equal(found, plain_entropy(p))


def test_a_constant_map_has_no_pixel_below_its_mean():
    p = torch.full((4, *SIZE), 0.25)
    found = settled(label_maps(p).entropy, p, entropy_bins(4))
    assert not (found.double() < image_threshold(found, 'mean')).any()


def test_what_is_no_number_stays_none_and_zero_costs_nothing():
    p = probabilities(5, 3.0)
    p[2, 7, 9] = torch.nan
    p[:, 8, 9] = torch.eye(5)[3]
    p[:, 9, 9] = torch.tensor([1.0, 1e-38, 1e-42, 0.0, 0.0])
    found = settled(label_maps(p).entropy, p, entropy_bins(5))
    assert found[7, 9].isnan() and found.isnan().sum() == 1 and found[8, 9] == 0.0
    for one, other in zip(compared(found, 5), compared(plain_entropy(p), 5)):
        assert torch.equal(one, other)


def test_the_vectors_are_as_near_as_the_bound_says():
    p = torch.cat([probabilities(40, 8.0, seed).flatten(1) for seed in range(3)], dim=1)
    near = label_maps(p[:, None]).entropy.double()[0]
    plain = plain_entropy(p).double()
    share = 2 * (40 + 6) * 2.0**-24
    assert bool(((near - plain).abs() <= share * plain).all())
    assert np.isfinite(near.numpy()).all()
