# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The table of scores: what is read from it is named once, and one row judges where two could."""

from __future__ import annotations

from dataclasses import fields, replace

from emu_perception import scores as module
from emu_perception.maps import MAPS
from emu_perception.network_maps import NetworkMaps
from emu_perception.scores import fitted_scores, measured, names_of, SCORES
import pytest
import torch

NAMES = ('parameter', 'key', 'threshold_key', 'origin_key', 'calibrated_key', 'topic', 'column',
         'threshold_column', 'words', 'tag')


@pytest.mark.parametrize('name', NAMES)
def test_no_two_scores_share_a_name_of_any_kind(name):
    assert len({getattr(row, name) for row in SCORES.values()}) == len(SCORES)



def test_two_values_that_differ_look_different_in_words():
    text = SCORES['segmentation_entropy'].text
    assert text(0.6412, 0.6408) == 'mean entropy 0.6412 > 0.6408 nat'
    assert text(0.7, 0.6) == 'mean entropy 0.700 > 0.600 nat' and text(0.5).endswith(' 0.500 nat')


def test_a_key_of_status_or_summary_stands_for_one_thing():
    for names in (('key', 'threshold_key', 'origin_key'), ('column', 'threshold_column')):
        found = [getattr(row, name) for row in SCORES.values() for name in names]
        assert len(set(found)) == len(found)


@pytest.mark.parametrize('row', SCORES.values(), ids=SCORES)
def test_a_row_is_whole(row):
    assert SCORES[row.name] is row
    assert row.highest > 0
    if row.fitted:
        assert not row.task and row.measure is None
    else:
        assert row.task in {entry.task for entry in MAPS.values()}
    maybe = ('instead_of', 'fitted') if not row.fitted else ('instead_of', 'task', 'measure')
    assert all(getattr(row, item.name) for item in fields(row) if item.name not in maybe)
    assert row.instead_of in ('', *SCORES)


def test_names_that_users_know_are_as_they_were():
    assert [(row.parameter, row.topic, row.key, row.threshold_key, row.origin_key,
             row.calibrated_key, row.column, row.threshold_column)
            for row in (SCORES['segmentation_entropy'], SCORES['depth_sigma'])] == [
        ('risk_threshold_segmentation', 'mean_segmentation_uncertainty',
         'mean_segmentation_uncertainty_nat', 'threshold_segmentation_nat',
         'threshold_segmentation_from', 'calibrated_risk_segmentation_nat', 'mean_entropy_nat',
         'threshold_entropy_nat'),
        ('risk_threshold_depth', 'mean_depth_uncertainty', 'mean_depth_uncertainty_m',
         'threshold_depth_m', 'threshold_depth_from', 'calibrated_risk_depth_m', 'mean_sigma_m',
         'threshold_sigma_m')]


@pytest.mark.parametrize('tasks', [('segmentation',), ('depth',), ('segmentation', 'depth')])
def test_what_is_measured_is_what_the_tasks_promise(tasks):
    plane = torch.rand(4, 4) + 0.1
    given = {'segmentation': {'entropy': plane}, 'depth': {'depth': plane,
                                                           'depth_variance': plane}}
    maps = NetworkMaps(**{name: values for task in tasks for name, values in given[task].items()})
    found = measured(maps)
    assert tuple(found) == names_of(tasks)
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in found.values())


def test_calibration_fits_no_threshold_of_a_score_whose_place_is_taken(monkeypatch):
    row = SCORES['depth_sigma']
    other = replace(row, name='other', instead_of='depth_sigma')
    monkeypatch.setattr(module, 'SCORES', {'depth_sigma': row, 'other': other})
    assert fitted_scores(('depth',)) == (other,)
    # Where the other is not to be had, its own place is its own.
    monkeypatch.setattr(module, 'SCORES', {
        'depth_sigma': row, 'other': replace(other, task='segmentation')})
    assert fitted_scores(('depth',)) == (row,)
