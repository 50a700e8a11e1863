# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""IoU from the confusion matrix."""

from __future__ import annotations

import pytest
import torch
from training.metrics.segmentation import ConfusionMatrix


def test_iou_of_each_class_and_the_pixels_counted():
    metric = ConfusionMatrix(3)
    metric.update(torch.tensor([0, 1, 1, 2], dtype=torch.uint8),
                  torch.tensor([0, 0, 1, 255], dtype=torch.uint8))
    iou = metric.iou()
    assert iou[:2].tolist() == [0.5, 0.5] and iou[2].isnan()
    assert int(metric.compute()['pixels']) == 3
    assert float(metric.compute()['pixel_accuracy']) == pytest.approx(2 / 3)


def test_a_class_that_is_only_predicted_is_not_counted_but_costs_the_others():
    metric = ConfusionMatrix(3)
    metric.update(torch.tensor([0, 2]), torch.tensor([0, 0]))
    result = metric.compute()
    assert (float(result['miou']), int(result['classes_counted'])) == (0.5, 1)


def test_no_pixel_gives_nan_and_not_a_score():
    metric = ConfusionMatrix(3)
    metric.update(torch.tensor([0]), torch.tensor([255]))
    assert metric.compute()['miou'].isnan() and int(metric.compute()['classes_counted']) == 0


def test_miou_leaves_out_absent_classes_and_void():
    metric = ConfusionMatrix(4)
    label = torch.tensor([0, 0, 1, 1, 255, 0])
    guess = torch.tensor([0, 1, 1, 1, 2, 3])
    metric.update(guess, label)
    result = metric.compute()
    # Class 0: 1 hit of union {0,0,0} = 3; class 1: 2 hits, union 3. Classes 2, 3 do not occur.
    assert float(result['miou']) == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert int(result['classes_counted']) == 2
    assert float(result['pixel_accuracy']) == pytest.approx(3 / 5)
    assert metric.iou()[2:].isnan().all()


def test_metrics_do_not_depend_on_order_or_chunks():
    torch.manual_seed(1)
    label, guess = torch.randint(0, 6, (999,)), torch.randint(0, 6, (999,))
    whole, parts = ConfusionMatrix(6), ConfusionMatrix(6)
    whole.update(guess, label)
    for chunk in torch.randperm(999).split(100):
        parts.update(guess[chunk], label[chunk])
    assert (whole.counts == parts.counts).all()
