# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What fusion was measured to be worth, and that the node runs with the constants of it."""

from __future__ import annotations

import json
from pathlib import Path

from emu_perception.fusion import FITTED
import pytest

RESULT = json.loads((Path(__file__).parents[3] / 'results/fusion/fusion.json').read_text())
KINDS = {found['kind']: found for found in RESULT['kinds']}


def test_the_constants_in_force_are_those_that_were_fitted():
    fitted = RESULT['constants']
    assert list(FITTED.distances) == fitted['distances']
    assert list(FITTED.growth) == fitted['growth'] == sorted(fitted['growth'])
    assert (FITTED.beyond, FITTED.factor_spread) == (fitted['beyond'], fitted['factor_spread'])
    assert FITTED.dissent == fitted['dissent']


@pytest.mark.parametrize('kind', KINDS)
def test_the_intervals_hold_by_kind_of_hole(kind):
    assert 0.87 <= RESULT['coverage_90']['by_kind'][kind]['share'] <= 0.93


def test_the_intervals_hold_near_a_hint_and_far_from_it():
    for found in RESULT['coverage_90']['by_distance']:
        assert 0.87 <= found['share'] <= 0.93, found['cells']


@pytest.mark.parametrize(('kind', 'bar'), [('blobs_30', 0.0), ('blobs_78', 0.15),
                                           ('blobs_95', 0.28), ('half', 0.33),
                                           ('beyond_4m', 0.10)])
def test_fusion_is_so_much_below_the_best_fill_without_a_network(kind, bar):
    assert KINDS[kind]['gain'] >= bar and KINDS[kind]['holds']
    fused = KINDS[kind]['rmse']['fused']
    assert fused < min(KINDS[kind]['rmse'][name] for name in ('network', 'one_factor'))


@pytest.mark.parametrize('kind', KINDS)
def test_a_wrong_focal_length_changes_the_factor_alone(kind):
    assert abs(KINDS[kind]['wrong_fx_change']) < 0.01
    assert RESULT['factor']['wrong_fx_ratio'] == pytest.approx([1.3] * 3, rel=1e-3)
