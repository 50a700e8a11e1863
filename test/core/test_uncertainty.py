# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Entropy in one pass, in strips, and the moments of an ensemble, against the plain formulas."""

from __future__ import annotations

import math

from emu_perception.network_maps import NetworkMaps
from emu_perception.scores import measured
from emu_perception.uncertainty import (
    by_class,
    class_probabilities,
    label_entropy_confidence,
    predictive_moments,
    segmentation_maps,
)
import pytest
from rounding import FEW, rounding
from segmentation_reference import Reference, reference
import torch


def near(maps: tuple[torch.Tensor, ...], exact: Reference) -> bool:
    """Tell whether maps are as near to float64 as float32's arithmetic is."""
    labels, entropy, confidence = exact.judged(maps)
    return labels == 0 and entropy <= 1 and confidence <= 1


@pytest.mark.parametrize('classes', [1, 2, 40, 255])
@pytest.mark.parametrize('scale', [0.01, 1.0, 30.0])
def test_one_pass_entropy_equals_the_softmax_formula(classes, scale):
    logits = scale * torch.randn(2, classes, 17, 23)
    label, entropy, confidence = label_entropy_confidence(logits)
    for index, raw in enumerate(logits):
        exact = reference(raw)
        assert torch.equal(label[index], exact.label)
        assert near((label[index], entropy[index], confidence[index]), exact)
    assert float(entropy.min()) >= 0
    assert float(entropy.max()) <= math.log(classes) + exact.entropy_bound
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
    maps = segmentation_maps(raw[0], size, strip=strip)
    assert [x.shape for x in maps] == [size] * 3
    assert [x.dtype for x in maps] == [torch.uint8, torch.float32, torch.float32]
    assert near(maps, reference(raw[0], size))


@pytest.mark.parametrize('size', [(96, 128), (97, 130), (13, 21), (12, 16)])
def test_maps_have_the_size_asked_for_whatever_the_factor(size):
    raw = torch.randn(4, 24, 32)
    assert near(segmentation_maps(raw, size), reference(raw, size))


def test_temperature_divides_the_logits():
    raw = torch.randn(4, 6, 8)
    warm = segmentation_maps(raw, (24, 32), temperature=2.5)
    assert near(warm, reference(raw, (24, 32), temperature=2.5))
    assert not torch.allclose(warm[1], segmentation_maps(raw, (24, 32))[1], atol=0.01)


def test_half_precision_logits_are_reduced_in_float32():
    raw = torch.randn(40, 6, 8).half()
    entropy = segmentation_maps(raw, (24, 32))[1]
    assert entropy.dtype == torch.float32
    assert torch.equal(entropy, segmentation_maps(raw.float(), (24, 32))[1])


def samples_of(logits=(), means=(), variances=()):
    """Return samples as ``predictive_moments`` takes them; an empty task is None."""
    count = max(len(logits), len(means))
    return [(logits[i] if len(logits) else None, means[i] if len(means) else None,
             variances[i] if len(means) else None) for i in range(count)]


def test_ensemble_segmentation_is_the_mean_softmax_not_the_softmax_of_the_mean():
    logits = 3 * torch.randn(7, 2, 5, 3, 4)
    before = logits.clone()
    moments = predictive_moments(iter(samples_of(logits)))
    expected = logits.double().softmax(2).mean(0)
    assert torch.allclose(moments.probabilities.double(), expected, rtol=0, atol=rounding(FEW))
    assert torch.equal(logits, before) and moments.depth is None


def test_ensemble_variance_is_the_mean_variance_plus_the_biased_variance_of_the_means():
    means, variances = 3 * torch.rand(6, 2, 3, 4), torch.rand(6, 2, 3, 4)
    before = means.clone(), variances.clone()
    moments = predictive_moments(samples_of((), means, variances))
    exact = means.double()
    assert torch.allclose(moments.depth.double(), exact.mean(0), rtol=0, atol=rounding(FEW, 3))
    expected = variances.double().mean(0) + exact.var(0, unbiased=False)
    assert torch.allclose(moments.depth_variance.double(), expected, rtol=0,
                          atol=rounding(FEW, 3 ** 2))
    assert torch.equal(means, before[0]) and torch.equal(variances, before[1])


def test_ensemble_variance_survives_depths_far_from_zero():
    # mean of squares minus square of mean would lose the spread of 1 mm at 1 km in float32.
    means = 1000.0 + 0.001 * torch.arange(8.0).view(8, 1, 1, 1)
    moments = predictive_moments(samples_of((), means, torch.zeros_like(means)))
    # The running mean is rounded to 2^-14 m at each of 8 steps, of which no more than half add
    # up; each of the 8 squares is of deviations up to 3.5 mm that are off by as much.
    off_m = 4 * rounding(1, 1000.007)
    variance = float(means.double().var(0, unbiased=False))
    assert float(moments.depth_variance) == pytest.approx(variance, abs=2 * off_m * 0.0035)


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


@pytest.mark.parametrize('batch', [1, 2])
@pytest.mark.parametrize('memory', [torch.channels_last, torch.contiguous_format])
def test_maps_by_class_are_the_same_values_in_one_piece(batch, memory):
    maps = torch.randn(batch, 5, 61, 67).to(memory_format=memory)
    found = by_class(maps)
    assert torch.equal(found, maps) and found.is_contiguous()
    assert torch.equal(found.softmax(1), maps.softmax(1)), 'not the same bits'


@pytest.mark.parametrize('size', [(61, 67), (64, 96), (1, 3)])
@pytest.mark.parametrize('memory', [torch.channels_last, torch.contiguous_format])
def test_probabilities_in_runs_are_softmax_bit_for_bit(size, memory):
    maps = (4 * torch.randn(2, 5, *size)).to(memory_format=memory)
    found = class_probabilities(maps)
    assert torch.equal(found, maps.contiguous().softmax(1)) and found.is_contiguous()
