# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed-point sums against math.fsum, at their bounds, and in every order."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.exact_sum import (
    as_float,
    exact_bin_sums,
    exact_row_sums,
    exact_sum,
)


@pytest.mark.slow
def test_a_sum_has_the_same_bits_in_every_order_and_chunking():
    torch.manual_seed(0)
    values = torch.randn(10_007, dtype=torch.float64) * 10.0**torch.randint(-9, 4, (10_007,))
    whole = exact_sum(values)
    for size in (1, 13, 999):
        parts = [exact_sum(chunk) for chunk in values[torch.randperm(10_007)].split(size)]
        assert torch.equal(torch.stack(parts).sum(0), whole)
    # Each value is rounded by at most half of 2^-40.
    assert float(as_float(whole)) == pytest.approx(math.fsum(values.tolist()), abs=1e4 * 2.0**-41)


def test_a_thousand_million_pixels_of_ten_thousand_do_not_overflow():
    for value in (1e4, -1e4, 0.1):
        total = exact_sum(torch.tensor(value, dtype=torch.float64)) * 10**9
        assert float(as_float(total)) == pytest.approx(value * 1e9, rel=1e-9)


def test_2_to_the_31_values_at_the_limit_do_not_overflow():
    for value in (2.0**22, -2.0**22, math.nextafter(2.0**22, 0.0)):
        parts = [int(x) * (2**31 - 1) for x in exact_sum(torch.tensor(value))]
        assert all(abs(part) < 2**63 for part in parts)


def test_infinite_values_saturate_and_nan_is_not_lost():
    assert float(as_float(exact_sum(torch.tensor([math.inf, 1.0])))) == 2.0**22 + 1.0
    assert float(as_float(exact_sum(torch.tensor([-math.inf])))) == -2.0**22
    assert as_float(exact_sum(torch.tensor([math.nan, 1.0]))).isnan()
    bins = exact_bin_sums(torch.tensor([math.nan, 1.0]), torch.tensor([0, 1]), 2)
    assert as_float(bins).isnan().tolist() == [True, False]


def test_fewer_fraction_bits_reach_further():
    assert float(as_float(exact_sum(torch.tensor([1e9, 0.5]), 24), 24)) == 1e9 + 0.5


def test_sums_of_bins_and_of_rows():
    values = torch.tensor([0.5, -1.25, 3.0, 0.25])
    sums = exact_bin_sums(values, torch.tensor([2, 0, 2, 0]), 4)
    assert as_float(sums).tolist() == [-1.0, 0.0, 3.5, 0.0]
    assert as_float(exact_row_sums(values.view(2, 2))).tolist() == [-0.75, 3.25]
    assert float(as_float(exact_sum(torch.tensor([])))) == 0.0
