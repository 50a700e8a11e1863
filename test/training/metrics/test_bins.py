# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Bins of the histograms."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.bins import Bins, entropy_bins, VARIANCE_BINS


def test_linear_bins_and_what_lies_outside():
    bins = Bins(0.0, 2.0, count=4)
    values = torch.tensor([0.0, 0.49, 0.5, 1.99, 2.0, 9.0, -1.0, math.nan, math.inf])
    assert bins.index(values).tolist() == [0, 0, 1, 3, 3, 3, 0, 3, 3]
    assert bins.edges().tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_logarithmic_bins():
    bins = Bins(1e-2, 1e2, count=4, logarithmic=True)
    assert bins.index(torch.tensor([0.0, 0.05, 0.5, 5.0, 50.0, 1e9])).tolist() == [
        0, 0, 1, 2, 3, 3]
    assert bins.edges().tolist() == pytest.approx([1e-2, 1e-1, 1.0, 1e1, 1e2])


def test_entropy_reaches_ln_k_and_one_class_does_not_divide_by_zero():
    assert entropy_bins(40).high == math.log(40)
    assert entropy_bins(1).index(torch.zeros(1)).tolist() == [0]


def test_variance_bins_are_narrow():
    edges = VARIANCE_BINS.edges()
    assert float((edges[1:] / edges[:-1]).max()) < 1.006
