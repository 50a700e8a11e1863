# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The harmonic mean of four figures."""

from __future__ import annotations

import math

import pytest
from training.metrics.rss import rss


def test_rss_by_hand():
    assert rss(0.5, 0.0, 1.0, 1.0) == pytest.approx(4 / (2 + 1 + 1 + 1))
    assert rss(0.475, 0.129, 0.787, 0.692) == pytest.approx(
        4 / (1 / 0.475 + 1 / 0.871 + 1 / 0.787 + 1 / 0.692))


def test_rss_of_nothing_good_is_zero_and_of_nothing_known_nan():
    assert rss(0.0, 0.1, 0.9, 0.9) == 0.0
    assert math.isnan(rss(0.5, 0.1, math.nan, 0.9))
