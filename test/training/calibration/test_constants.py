# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Temperature and variance scale against what is known of the maps."""

from __future__ import annotations

from emu_perception.checkpoint import Calibration
from emu_perception.networks.depth_forms import DEPTH_FORMS
import pytest
import torch
from training.calibration.constants import best_temperature, doubts, VarianceScale
from training.metrics.gaussian_scores import GaussianScores


def test_the_temperature_that_sharpened_the_logits_is_found_again():
    torch.manual_seed(0)
    logits = 3 * torch.randn(20000, 5)
    label = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    assert best_temperature(2.5 * logits, label) == pytest.approx(2.5, rel=0.03)
    assert best_temperature(logits, label) == pytest.approx(1.0, rel=0.03)


def test_a_temperature_that_is_no_minimum_is_said():
    """All right: the sharper the better. Every label another class: the flatter the better."""
    logits, label = 0.2 * torch.eye(3).repeat(50, 1), torch.arange(3).repeat(50)
    some = torch.where(torch.arange(150) < 110, label, (label + 1) % 3)
    for truth, said in ((label, 1), ((label + 1) % 3, 1), (some, 0)):
        found = doubts(Calibration(best_temperature(logits, truth)))
        assert len(found) == said and all('is an end of the range' in line for line in found)
    assert best_temperature(torch.randn(9, 1), torch.zeros(9, dtype=torch.int64)) == 1.0


def test_a_sigma_that_is_off_by_far_is_said():
    """Depths in millimetres are calibrated away, to a sigma of hundreds of metres."""
    assert doubts(Calibration(1.3, 0.02)) == doubts(Calibration(1.0, 90.0)) == []
    for scale, off in ((1e6, '1e+03'), (1e-3, '0.0316')):
        line, = doubts(Calibration(1.0, scale))
        assert f'off by {off} times' in line and 'depth.scale' in line


def test_the_variance_scale_is_the_mean_squared_z():
    scale = VarianceScale()
    scale.add(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 0.25, 1.0]),
              torch.tensor([3.0, 2.5, 0.0]))
    assert scale.value() == pytest.approx((4.0 + 1.0) / 2)
    assert VarianceScale().value() == 1.0


def test_the_scale_of_log_depths_is_that_of_their_logarithms():
    torch.manual_seed(0)
    depth = torch.rand(50_000).double() * 5 + 0.5
    truth = (depth.log() + 0.3 * torch.randn(50_000)).exp()
    truth[:7] = 0.0
    scale = VarianceScale(DEPTH_FORMS['log'])
    scale.add(depth, (0.2 * depth).square(), truth)
    z = (truth[7:] / depth[7:]).log() / 0.2
    assert scale.value() == pytest.approx(float(z.square().mean()), rel=1e-9)
    # After it the intervals of the log-normal hold what they say.
    metric = GaussianScores(DEPTH_FORMS['log'])
    metric.update(depth, scale.value() * (0.2 * depth).square(), truth)
    assert float(metric.compute()['calibration_error']) < 0.01
