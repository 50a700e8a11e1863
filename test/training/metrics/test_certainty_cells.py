# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The four cells of Mukhoti & Gal by hand, with both thresholds and both void policies."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.certainty_cells import CELLS, CertaintyCells, image_threshold

# Mean 3, lower median 2: the pixel of 2.5 is certain by the mean alone.
UNCERTAINTY = torch.tensor([[1.0, 1.5, 2.0], [2.5, 5.0, 6.0]])
ACCURATE = torch.tensor([[True, True, False], [False, True, False]])
VALID = torch.tensor([[True, True, True], [False, True, True]])


def figures(threshold: str, void: str) -> tuple[float, float, float]:
    metric = CertaintyCells(threshold, void)
    metric.update(ACCURATE, UNCERTAINTY, VALID)
    result = metric.compute()
    return (float(result['p_accurate_given_certain']),
            float(result['p_uncertain_given_inaccurate']), float(result['pavpu']))


def test_mean_threshold_without_void():
    # Certain: 1, 1.5, 2 (right, right, wrong). Uncertain: 5 right, 6 wrong.
    assert figures('mean', 'exclude') == pytest.approx((2 / 3, 1 / 2, 3 / 5))


def test_mean_threshold_with_void_as_inaccurate():
    # The void pixel of 2.5 is certain and wrong.
    assert figures('mean', 'as_inaccurate') == pytest.approx((2 / 4, 1 / 3, 3 / 6))


def test_median_threshold():
    # Certain: below 2, strictly: 1 and 1.5. Wrong and uncertain: 2 and 6 (and void 2.5).
    assert figures('median', 'exclude') == pytest.approx((1.0, 1.0, 4 / 5))
    assert figures('median', 'as_inaccurate') == pytest.approx((1.0, 1.0, 5 / 6))


def test_what_is_said_of_an_invalid_pixel_is_not_read():
    metric = CertaintyCells(void='as_inaccurate')
    metric.update(ACCURATE | ~VALID, UNCERTAINTY, VALID)
    result = metric.compute()
    assert [int(result[name]) for name in CELLS] == [2, 1, 1, 1, 1, 0]


def test_each_image_has_its_own_threshold():
    metric = CertaintyCells()
    everywhere = torch.ones(1, 2, dtype=torch.bool)
    for scale in (1.0, 1000.0):
        metric.update(torch.tensor([[True, False]]), scale * torch.tensor([[1.0, 3.0]]),
                      everywhere)
    assert float(metric.compute()['pavpu']) == 1.0


@pytest.mark.parametrize('constant', [0.1, 1e-6, 3.3e-13, 7e5])
def test_no_pixel_of_a_constant_map_is_certain(constant):
    metric = CertaintyCells()
    everywhere = torch.ones(3, 7, dtype=torch.bool)
    metric.update(everywhere, torch.full((3, 7), constant), everywhere)
    assert metric.cells.tolist() == [[0, 21], [0, 0], [0, 0]]


def test_uncertainty_that_is_not_finite_is_uncertain_and_not_in_the_threshold():
    u = torch.tensor([1.0, 3.0, math.inf, math.nan], dtype=torch.float64)
    assert float(image_threshold(u, 'mean')) == 2.0
    assert float(image_threshold(u, 'median')) == 1.0
    metric = CertaintyCells()
    metric.update(torch.ones(4, dtype=torch.bool), u, torch.ones(4, dtype=torch.bool))
    metric.update(torch.ones(1, dtype=torch.bool), u[3:], torch.ones(1, dtype=torch.bool))
    assert metric.cells[0].tolist() == [1, 4]


def test_two_images_at_once_and_unknown_words_are_refused():
    batch = torch.ones(2, 3, 3)
    with pytest.raises(ValueError, match='one image'):
        CertaintyCells().update(batch > 0, batch, batch > 0)
    with pytest.raises(ValueError, match='one image'):
        CertaintyCells().update(batch[0] > 0, batch[0], batch[0, :2] > 0)
    for words in ({'threshold': 'max'}, {'void': 'ignore'}):
        with pytest.raises(ValueError, match='is one of'):
            CertaintyCells(**words)


def test_nothing_certain_gives_nan():
    metric = CertaintyCells()
    metric.update(torch.tensor([[True]]), torch.tensor([[1.0]]), torch.tensor([[True]]))
    result = metric.compute()
    assert result['p_accurate_given_certain'].isnan()
    assert result['p_uncertain_given_inaccurate'].isnan()
    assert float(result['pavpu']) == 0.0
