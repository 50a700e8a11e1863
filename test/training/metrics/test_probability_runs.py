# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Probabilities that are made run by run are those of the whole softmax, and so is all of them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from training.metrics.bins import entropy_bins
from training.metrics.label_maps import label_maps
from training.metrics.nearly_entropy import settled
from training.metrics.probability_runs import Softmax, Whole
from training.metrics.suite import EvaluationSuite

CLASSES = 6
# More than the entropies that are all taken plainly, and no whole number of runs.
SIZE = (272, 260)


def logits(seed: int = 0, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Return what a network in channels_last gives, upsampled, [1, K, H, W], with ties."""
    generator = torch.Generator().manual_seed(seed)
    raw = 4 * torch.randn(1, CLASSES, 17, 16, generator=generator)
    raw[0, 3, 4:9] = raw[0, 1, 4:9]
    return F.interpolate(raw.to(memory_format=torch.channels_last), size=size, mode='bilinear')


def whole(maps: torch.Tensor) -> torch.Tensor:
    return maps.contiguous().softmax(1)[0]


def test_runs_and_single_pixels_are_those_of_the_whole():
    maps = logits()
    assert Softmax.suits(maps)
    p, made = whole(maps), Softmax(maps[0])
    assert made.shape == p.shape
    for source in (made, Whole(p)):
        joined = torch.cat([part.clone() for _, part in source.runs()], dim=1)
        assert torch.equal(joined.view(p.shape), p)
        for count in (0, 1, 63, 64, 3001):
            index = torch.arange(count) * 12347 % p[0].numel()
            assert torch.equal(source.at(index), p.flatten(1)[:, index])


@pytest.mark.parametrize('maps', [
    logits().contiguous(), logits().double(), logits(size=(33, 31)), logits().requires_grad_()])
def test_what_would_be_rounded_otherwise_is_not_made_in_runs(maps):
    assert not Softmax.suits(maps)


def test_maps_and_entropies_are_those_of_the_whole():
    maps = logits()
    p = whole(maps)
    label = torch.randint(0, CLASSES + 1, SIZE, generator=torch.Generator().manual_seed(2))
    label[label == CLASSES] = 255
    given, bins = label.clone(), entropy_bins(CLASSES)
    made, plain = label_maps(Softmax(maps[0]), label), label_maps(p, label)
    known = label < CLASSES
    assert torch.equal(label, given), 'the truth was written over'
    assert torch.equal(plain.p_true[known], p.gather(
        0, label.clamp(max=CLASSES - 1)[None])[0][known])
    for name in ('guess', 'confidence', 'squares', 'entropy', 'p_true'):
        assert torch.equal(getattr(made, name), getattr(plain, name)), name
    assert torch.equal(settled(made.entropy, Softmax(maps[0]), bins),
                       settled(plain.entropy, p, bins))


@pytest.mark.parametrize('kind', [torch.uint8, torch.int64])
def test_every_state_of_the_suite_is_that_of_the_whole(kind):
    generator = torch.Generator().manual_seed(3)
    label = torch.randint(0, CLASSES, SIZE, generator=generator).to(kind)
    label[:9] = 255
    suites = [EvaluationSuite(CLASSES, False) for _ in range(2)]
    for seed in range(2):
        maps = logits(seed)
        figures = [suite.update(p, label=label) for suite, p in zip(
            suites, (Softmax(maps[0]), whole(maps)))]
        assert figures[0] == figures[1]
    for name, metric in suites[0].segmentation.items():
        for state in metric._defaults:
            assert torch.equal(getattr(metric, state),
                               getattr(suites[1].segmentation[name], state)), (name, state)
