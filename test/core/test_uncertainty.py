# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Entropy in one pass, in strips, and the moments of an ensemble, against the plain formulas."""

from __future__ import annotations

import math

from emu_perception.network_maps import NetworkMaps
from emu_perception.scores import measured
from emu_perception.uncertainty import (
    label_entropy_confidence,
    predictive_moments,
    segmentation_maps,
)
import pytest
import torch
from torch.nn import functional as F


def plain(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return label, entropy and confidence as the textbook has them, in float64."""
    p = logits.double().softmax(dim=1)
    return p.argmax(1), -(p * p.clamp(min=1e-300).log()).sum(1), p.max(1).values


@pytest.mark.parametrize('classes', [1, 2, 40, 255])
@pytest.mark.parametrize('scale', [0.01, 1.0, 30.0])
def test_one_pass_entropy_equals_the_softmax_formula(classes, scale):
    logits = scale * torch.randn(2, classes, 17, 23)
    label, entropy, confidence = label_entropy_confidence(logits)
    expected = plain(logits)
    assert torch.equal(label, expected[0])
    assert torch.allclose(entropy.double(), expected[1], atol=3e-6, rtol=0)
    assert torch.allclose(confidence.double(), expected[2], atol=1e-6, rtol=0)
    assert float(entropy.min()) >= 0 and float(entropy.max()) <= math.log(classes) + 2e-6
    assert float(confidence.min()) > 0 and float(confidence.max()) <= 1


def test_entropy_leaves_the_logits_as_they_were():
    logits = torch.randn(1, 5, 4, 4)
    before = logits.clone()
    label_entropy_confidence(logits)
    assert torch.equal(logits, before)


@pytest.mark.parametrize('extreme', [1e4, -1e4])
def test_extreme_logits_give_finite_maps(extreme):
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 1] = extreme
    label, entropy, confidence = label_entropy_confidence(logits)
    certain = extreme > 0
    assert (label == 1).all() if certain else (label != 1).all()
    assert torch.allclose(entropy, torch.full_like(entropy, 0.0 if certain else math.log(2)))
    assert torch.allclose(confidence, torch.full_like(entropy, 1.0 if certain else 0.5))


def test_logits_that_are_no_numbers_are_not_called_certain():
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 1, 0, 0], logits[0, 1, 0, 1] = math.nan, math.inf
    _, entropy, _ = label_entropy_confidence(logits)
    assert torch.isnan(entropy).all()
    assert not math.isfinite(measured(NetworkMaps(entropy=entropy))['segmentation_entropy'])


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(('rows', 'columns', 'factor', 'strip'), [
    (24, 32, 4, 32), (19, 7, 4, 32),  # the second's last strip is short
    (1, 9, 4, 32), (8, 5, 4, 4), (9, 5, 4, 12), (9, 9, 2, 6), (7, 9, 1, 3), (10, 6, 3, 9)])
def test_strips_equal_the_whole(rows, columns, factor, strip, layout):
    raw = 3 * torch.randn(1, 6, rows, columns).to(memory_format=layout)
    size = rows * factor, columns * factor
    whole = label_entropy_confidence(
        F.interpolate(raw, size=size, mode='bilinear', align_corners=False))
    label, entropy, confidence = segmentation_maps(raw[0], size, strip=strip)
    assert label.shape == entropy.shape == confidence.shape == size
    assert (label.dtype, entropy.dtype, confidence.dtype) == (
        torch.uint8, torch.float32, torch.float32)
    assert torch.equal(label.long(), whole[0][0])
    assert torch.allclose(entropy, whole[1][0], atol=1e-6, rtol=0)
    assert torch.allclose(confidence, whole[2][0], atol=1e-6, rtol=0)


@pytest.mark.parametrize('size', [(96, 128), (97, 130), (13, 21), (12, 16)])
def test_maps_have_the_size_asked_for_whatever_the_factor(size):
    raw = torch.randn(4, 24, 32)
    whole = label_entropy_confidence(
        F.interpolate(raw[None], size=size, mode='bilinear', align_corners=False))
    label, entropy, _ = segmentation_maps(raw, size)
    assert torch.equal(label.long(), whole[0][0])
    assert torch.allclose(entropy, whole[1][0], atol=1e-6, rtol=0)


def test_temperature_divides_the_logits():
    raw = torch.randn(4, 6, 8)
    warm = segmentation_maps(raw, (24, 32), temperature=2.5)
    expected = segmentation_maps(raw / 2.5, (24, 32))
    assert all(torch.allclose(a.float(), b.float(), atol=1e-6) for a, b in zip(warm, expected))
    assert not torch.allclose(warm[1], segmentation_maps(raw, (24, 32))[1], atol=0.01)


def test_half_precision_logits_are_reduced_in_float32():
    raw = torch.randn(40, 6, 8).half()
    entropy = segmentation_maps(raw, (24, 32))[1]
    assert entropy.dtype == torch.float32
    assert torch.allclose(entropy, segmentation_maps(raw.float(), (24, 32))[1], atol=1e-6)


def samples_of(logits=(), means=(), variances=()):
    """Return samples as ``predictive_moments`` takes them; an empty task is None."""
    count = max(len(logits), len(means))
    return [(logits[i] if len(logits) else None, means[i] if len(means) else None,
             variances[i] if len(means) else None) for i in range(count)]


def test_ensemble_segmentation_is_the_mean_softmax_not_the_softmax_of_the_mean():
    logits = 3 * torch.randn(7, 2, 5, 3, 4)
    before = logits.clone()
    moments = predictive_moments(iter(samples_of(logits)))
    assert torch.allclose(moments.probabilities, logits.softmax(2).mean(0), atol=1e-6)
    assert torch.equal(logits, before) and moments.depth is None


def test_ensemble_variance_is_the_mean_variance_plus_the_biased_variance_of_the_means():
    means, variances = 3 * torch.rand(6, 2, 3, 4), torch.rand(6, 2, 3, 4)
    before = means.clone(), variances.clone()
    moments = predictive_moments(samples_of((), means, variances))
    assert torch.allclose(moments.depth, means.mean(0), atol=1e-6)
    expected = variances.mean(0) + means.var(0, unbiased=False)
    assert torch.allclose(moments.depth_variance, expected, atol=1e-6)
    assert torch.equal(means, before[0]) and torch.equal(variances, before[1])


def test_ensemble_variance_survives_depths_far_from_zero():
    # mean of squares minus square of mean would lose the spread of 1 mm at 1 km in float32.
    means = 1000.0 + 0.001 * torch.arange(8.0).view(8, 1, 1, 1)
    moments = predictive_moments(samples_of((), means, torch.zeros_like(means)))
    assert torch.allclose(moments.depth_variance, means.var(0, unbiased=False), rtol=0.05)


def test_an_ensemble_of_one_is_that_one():
    logits, mean, variance = torch.randn(1, 3, 2, 2), torch.rand(1, 2, 2), torch.rand(1, 2, 2)
    moments = predictive_moments([(logits, mean, variance)])
    assert torch.equal(moments.probabilities, logits.softmax(1))
    assert torch.equal(moments.depth, mean) and torch.equal(moments.depth_variance, variance)


def test_an_ensemble_of_none_is_refused():
    with pytest.raises(ValueError, match='at least one'):
        predictive_moments([])


def test_memory_does_not_grow_with_the_number_of_samples(peak_bytes):
    """The highest sum of bytes alive, seen at every operation, is the same for 3 and for 24."""
    def peak(count):
        return peak_bytes(lambda: predictive_moments(
            (torch.randn(1, 8, 32, 32), torch.rand(1, 32, 32), torch.rand(1, 32, 32))
            for _ in range(count)))
    assert peak(24) == peak(3) > 3 * 8 * 32 * 32 * 4
