# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Temperature and variance scale against what is known of the maps."""

from __future__ import annotations

import pytest
import torch
from training.calibration.constants import best_temperature, VarianceScale


def test_the_temperature_that_sharpened_the_logits_is_found_again():
    torch.manual_seed(0)
    logits = 3 * torch.randn(20000, 5)
    label = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    assert best_temperature(2.5 * logits, label) == pytest.approx(2.5, rel=0.03)
    assert best_temperature(logits, label) == pytest.approx(1.0, rel=0.03)


def test_the_variance_scale_is_the_mean_squared_z():
    scale = VarianceScale()
    scale.add(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 0.25, 1.0]),
              torch.tensor([3.0, 2.5, 0.0]))
    assert scale.value() == pytest.approx((4.0 + 1.0) / 2)
    assert VarianceScale().value() == 1.0
