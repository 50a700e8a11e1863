# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""SILog and the means over images, and what is pooled over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.depth import DepthErrors


def result(*images: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
    metric = DepthErrors()
    for prediction, depth in images:
        metric.update(prediction, depth)
    return {name: float(value) for name, value in metric.compute().items()}


def test_silog_ignores_scale_and_is_the_deviation_of_the_log_ratio():
    truth = torch.rand(50) + 1.0
    assert result((2.0 * truth, truth))['silog'] == pytest.approx(0.0, abs=1e-3)
    spread = result((torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0])))
    assert spread['silog'] == pytest.approx(100.0 * math.log(2.0))


def test_a_prediction_of_zero_has_the_logarithm_of_a_millimetre():
    spread = result((torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])))
    assert spread['silog'] == pytest.approx(100.0 * math.log(1000.0) / 2)


def test_means_over_images_weigh_an_image_of_one_pixel_like_any_other():
    a = (torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    b = (torch.tensor([[5.0, 5.0]]), torch.tensor([[2.0, 2.0]]))
    both = result(a, b)
    assert both['rmse'] == pytest.approx(math.sqrt((1 + 9 + 9) / 3))
    assert both['rmse_per_image'] == pytest.approx((1.0 + 3.0) / 2)
    assert both['abs_rel_per_image'] == pytest.approx((1.0 + 1.5) / 2)
    good = (torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
    assert result(a, good)['delta1_per_image'] == 0.5
    assert result(a, good)['delta1'] == pytest.approx(2 / 3)


def test_a_batch_is_its_images_and_one_without_truth_is_not_counted():
    torch.manual_seed(0)
    truth, guess = torch.rand(4, 5, 6) + 0.5, torch.rand(4, 5, 6) + 0.5
    truth[1] = 0.0
    truth[2, 0] = 0.0
    batch = result((guess, truth))
    assert batch == result(*((guess[i], truth[i]) for i in (3, 0, 1, 2)))
    assert batch == result((guess[[0, 2, 3]], truth[[0, 2, 3]]))
    assert batch['pixels'] == 2 * 30 + 24


def test_what_an_invalid_pixel_predicts_does_not_matter():
    truth = torch.tensor([[1.0, 0.0]])
    for rubbish in (math.nan, math.inf, 0.0):
        assert result((torch.tensor([[1.0, rubbish]]), truth))['rmse'] == 0.0
    assert math.isnan(result((torch.tensor([[math.nan, 1.0]]), truth))['rmse'])


def test_delta_is_strict():
    assert result((torch.tensor([1.25, 1.2]), torch.tensor([1.0, 1.0])))['delta1'] == 0.5


def test_depth_errors_by_hand_and_invalid_pixels_ignored():
    metric = DepthErrors()
    metric.update(torch.tensor([2.0, 1.0, 3.0, 0.0, 50.0]),
                  torch.tensor([2.0, 2.0, 4.0, 1.0, 0.0]))
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result['rmse'] == pytest.approx(math.sqrt((0 + 1 + 1 + 1) / 4))
    assert result['abs_rel'] == pytest.approx((0 + 0.5 + 0.25 + 1.0) / 4)
    # Ratios 1, 2, 1.333, inf against 1.25, 1.5625, 1.953.
    assert (result['delta1'], result['delta2'], result['delta3']) == (0.25, 0.5, 0.5)
    assert result['pixels'] == 4
