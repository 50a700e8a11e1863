# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The figure of ``emu study fusion`` is right where the result is a bad one, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training.reporting.fusion_study import fusion_figure

ROOT = Path(__file__).parents[3]


@pytest.fixture
def result():
    return json.loads((ROOT / 'results/fusion/fusion.json').read_text())


def test_a_loss_has_one_sign_and_is_no_gain(result):
    """A fused error above the best fill's stood there as --4 %."""
    for kind, gain in zip(result['kinds'], (0.25, -0.04)):
        kind['gain'] = gain
    words = [label.get_text() for label in fusion_figure(result).axes[0].get_xticklabels()]
    assert [word.splitlines()[1] for word in words[:2]] == ['-25 %', '+4 %']


def test_intervals_that_hold_little_are_on_the_axis(result):
    """A share below 0.7 was outside the picture, without a word."""
    worst = next(iter(result['coverage_90']['by_kind'].values()))
    worst.update(share=0.3, interval=[0.2, 0.4])
    assert fusion_figure(result).axes[1].get_xlim()[0] < 0.2
