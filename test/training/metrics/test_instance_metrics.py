# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Vector errors, AP and inverse depth errors against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.metrics.instance_precision import (
    average_precision,
    InstancePrecision,
    OVERLAPS,
    SCORE_BINS,
)
from training.metrics.instance_vectors import InstanceVectorErrors
from training.metrics.inverse_depth import InverseDepthErrors

FLOOR, CAR, PERSON, VOID = 0, 1, 2, 255


def test_vector_errors_are_l1_norms_over_instance_pixels():
    metric = InstanceVectorErrors()
    truth = torch.zeros(1, 2, 1, 4)
    truth[0, :, 0] = torch.tensor([[4.0, -4.0, 2.0, 9.0], [0.0, 0.0, -2.0, 9.0]])
    guess = truth.clone()
    guess[0, 0, 0, 0] += 1.0
    guess[0, :, 0, 2] += torch.tensor([-2.0, 3.0])
    guess[0, :, 0, 3] += 100.0  # Not on an instance.
    metric.update(guess, truth, torch.tensor([[[True, True, True, False]]]))
    result = metric.compute()
    assert float(result['mean_error']) == pytest.approx((1 + 0 + 5) / 3)
    assert float(result['skill']) == pytest.approx(1 - 6 / 12) and int(result['pixels']) == 3
    metric.update(truth * 0, truth, torch.ones(1, 1, 4, dtype=torch.bool))
    assert 0 < float(metric.compute()['skill']) < 0.5


def test_vectors_of_zero_have_no_skill_and_none_at_all_is_no_error():
    metric = InstanceVectorErrors()
    assert float(metric.compute()['skill']) == 0.0
    metric.update(torch.zeros(1, 2, 1, 1), torch.full((1, 2, 1, 1), 3.0),
                  torch.ones(1, 1, 1, dtype=torch.bool))
    assert float(metric.compute()['skill']) == 0.0 and float(metric.compute()['mean_error']) == 6.0


def test_inverse_depth_errors_count_the_sky_and_leave_out_the_unknown():
    metric = InverseDepthErrors()
    metric.update(torch.tensor([1.0, 0.5, 7.0]), torch.tensor([0.5, 0.0, -1.0]))
    metric.update(torch.tensor([2.0]), torch.tensor([4.0]))
    result = metric.compute()
    assert float(result['mean_error']) == pytest.approx((0.5 + 0.5 + 2) / 3)
    assert float(result['rms_error']) == pytest.approx(((0.25 + 0.25 + 4) / 3) ** 0.5)
    assert int(result['pixels']) == 3


def scene(*objects: tuple[slice, int, int], columns: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Return label and instance maps of ten rows with objects (columns, class, id)."""
    label, instance = np.zeros((10, columns), np.uint8), np.zeros((10, columns), np.uint16)
    for where, kind, number in objects:
        label[:, where], instance[:, where] = kind, number
    return label, instance


def ap_of(guess, truth, confidence=None, min_pixels=10, things=(CAR, PERSON)):
    metric = InstancePrecision(things, min_pixels)
    label, instance = scene(*guess)
    score = np.full(label.shape, 0.9, np.float32) if confidence is None else confidence
    metric.update(label, instance, score, *scene(*truth))
    return metric, {name: value.tolist() for name, value in metric.compute().items()}


def test_perfect_instances_have_ap_one():
    objects = [(slice(0, 20), CAR, 1), (slice(20, 40), CAR, 2), (slice(50, 70), PERSON, 3)]
    _, result = ap_of(objects, objects)
    assert result['ap'] == result['ap50'] == 1.0 and result['instances'] == 3
    assert result['class_ap'] == [1.0, 1.0]


def test_an_overlap_counts_for_the_thresholds_strictly_below_it():
    """At an IoU of 15/20 = 0.75: right at 0.5 .. 0.7, wrong from 0.75 on."""
    _, result = ap_of([(slice(0, 15), CAR, 1)], [(slice(0, 20), CAR, 1)], things=(CAR,))
    assert result['ap'] == pytest.approx(5 / len(OVERLAPS)) and result['ap50'] == 1.0


def test_one_missed_and_one_false_instance_by_hand():
    """Right with score .9, wrong with .3, one of two found: (0, 1) (.5, 1) (.5, .5)."""
    confidence = np.full((10, 100), 0.9, np.float32)
    confidence[:, 60:80] = 0.3
    _, result = ap_of([(slice(0, 20), CAR, 1), (slice(60, 80), CAR, 2)],
                      [(slice(0, 20), CAR, 5), (slice(30, 50), CAR, 6)], confidence)
    assert result['ap50'] == pytest.approx(0.5)
    # The false one surer than the right one: points (0, 1) (0, 0) (.5, .5).
    _, result = ap_of([(slice(0, 20), CAR, 1), (slice(60, 80), CAR, 2)],
                      [(slice(0, 20), CAR, 5), (slice(30, 50), CAR, 6)], 1.2 - confidence)
    assert result['ap50'] == pytest.approx(0.5 * (0 + 0.5) / 2)


def test_the_class_has_to_be_right():
    _, result = ap_of([(slice(0, 20), PERSON, 1)], [(slice(0, 20), CAR, 1)])
    assert result['class_ap'][0] == 0.0 and np.isnan(result['class_ap'][1])
    assert result['ap'] == 0.0


@pytest.mark.parametrize(('truth', 'wrong'), [
    ((slice(0, 20), VOID, 0), 0),    # Void.
    ((slice(0, 20), CAR, 0), 0),     # A group: cars without an instance.
    ((slice(0, 20), FLOOR, 0), 1),   # Nothing that excuses it.
    ((slice(0, 20), PERSON, 3), 1),  # Another class's instance.
])
def test_what_lies_on_regions_to_ignore_is_not_wrong(truth, wrong):
    metric, _ = ap_of([(slice(0, 20), CAR, 1)], [truth, (slice(60, 90), CAR, 9)])
    assert int(metric.wrong[0, 0].sum()) == wrong and int(metric.right.sum()) == 0


def test_true_instances_that_are_too_small_are_neither_missed_nor_false():
    metric, result = ap_of([(slice(0, 2), CAR, 1)], [(slice(0, 2), CAR, 1)], min_pixels=21)
    assert int(metric.wrong.sum()) == int(metric.right.sum()) == 0 and result['instances'] == 0
    assert np.isnan(result['ap'])


def test_split_masks_are_one_instance():
    halves = [(slice(0, 10), CAR, 1), (slice(20, 30), CAR, 1)]
    _, result = ap_of(halves, halves)
    assert result['ap'] == 1.0 and result['instances'] == 1
    _, result = ap_of([(slice(0, 10), CAR, 1), (slice(20, 30), CAR, 2)], halves)
    assert result['ap'] == 0.0


def test_order_and_chunks_of_images_do_not_matter():
    rng = np.random.default_rng(0)
    images = [(rng.integers(0, 3, (10, 30), dtype=np.uint8),
               rng.integers(0, 4, (10, 30), dtype=np.uint16),
               rng.random((10, 30), dtype=np.float32),
               rng.integers(0, 3, (10, 30), dtype=np.uint8),
               rng.integers(0, 4, (10, 30), dtype=np.uint16)) for _ in range(6)]
    one, two = (InstancePrecision((1, 2), 3) for _ in range(2))
    for image in images:
        one.update(*image)
    for image in reversed(images):
        two.update(*image)
    assert torch.equal(one.right, two.right) and torch.equal(one.wrong, two.wrong)
    assert torch.equal(one.true, two.true)


def test_the_area_is_by_trapezoids_from_recall_zero_at_precision_one():
    right, wrong = torch.zeros(2, SCORE_BINS, dtype=torch.long)
    right[900], right[500], wrong[700] = 1, 1, 1
    # (0, 1) (1/4, 1) (1/4, 1/2) (1/2, 2/3)
    expected = 0.25 * 1 + 0 + 0.25 * (0.5 + 2 / 3) / 2
    assert float(average_precision(right, wrong, 4)) == pytest.approx(expected)
    assert float(average_precision(right * 0, wrong, 4)) == 0.0
    assert float(average_precision(right * 0, wrong * 0, 4)) == 0.0
