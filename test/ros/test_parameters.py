# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One table of parameters: code, YAML, node and rules of change agree."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
import re

from emu_perception.errors import InputError
from emu_perception.risk import RiskMonitor
from emu_perception.ros.parameters import (
    changed,
    CONFIGURE,
    descriptor,
    LIVE,
    Settings,
    START,
    SWAP,
    TABLE,
    validate,
    value_of,
)
from emu_perception.rules import ListRule
from emu_perception.scores import SCORES
import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_yaml_has_every_parameter_with_the_default_of_the_code():
    document = yaml.safe_load((ROOT / 'config' / 'emu.yaml').read_text())
    assert document['/**']['ros__parameters'] == {
        name: entry.default for name, entry in TABLE.items()}


def test_yaml_says_of_each_parameter_whether_it_is_live():
    lines = (ROOT / 'config' / 'emu.yaml').read_text().splitlines()
    for name, entry in TABLE.items():
        line = next(line for line in lines if line.strip().startswith(f'{name}:'))
        assert ('# live' in line) == (entry.change == LIVE), name
        assert ('# swap' in line) == (entry.change == SWAP), name


def test_every_parameter_is_read_by_the_code_outside_the_table():
    folder = ROOT / 'emu_perception' / 'ros'
    text = ''.join(path.read_text() for path in folder.rglob('*.py')
                   if path.name not in ('parameters.py', 'settings.py', 'replay_camera.py'))
    # Those of the scores are read through the table of them, all at once.
    assert '.risk_thresholds' in text
    ours = TABLE.keys() - {row.parameter for row in SCORES.values()}
    unread = [name for name in ours if not re.search(rf'\.{name}\b', text)]
    assert not unread, f'declared and never used: {unread}'


def test_defaults_pass_their_own_rules():
    assert validate({}) == validate({name: entry.default for name, entry in TABLE.items()})


def test_defaults_of_the_risk_flag_are_those_of_the_core():
    core = inspect.signature(RiskMonitor.__init__).parameters
    for name in ('raise_after', 'clear_after', 'clear_below', 'stale_after_s'):
        assert getattr(Settings(), name) == core[name].default, name


@pytest.mark.parametrize('name', TABLE)
def test_description_says_what_unit_and_when(name):
    described = descriptor(name)
    entry = TABLE[name]
    rule = entry.rule
    assert len(described.description) > 20 and entry.change in described.additional_constraints
    assert rule.unit in described.description
    assert described.read_only == (entry.change == START)
    if isinstance(rule, ListRule):
        assert described.dynamic_typing and rule.each.wanted in described.additional_constraints
    elif math.isfinite(rule.low):
        ranges = described.integer_range or described.floating_point_range
        assert (ranges[0].from_value, ranges[0].to_value) == (rule.low, rule.high)


@pytest.mark.parametrize('name, value', [
    (name, value) for name, entry in TABLE.items()
    if not isinstance(entry.rule, ListRule) and math.isfinite(entry.rule.low)
    for value in (entry.rule.low - 1, entry.rule.high + 1, float('nan'), 'text', None, True)])
def test_value_out_of_range_or_of_wrong_type_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f'parameter {name} is'):
        validate({name: value})


@pytest.mark.parametrize('name, value', [
    ('transport', 'theora'), ('output_size', 'half'), ('model_file', 3), ('device', None),
    ('use_camera_info', 1), ('gate', 'points'), ('gate', ['point']), ('gate', [3]),
    ('gate', None), ('gate', 1), ('risk_region', [0.5, 1.0, 0.0, 1.5]), ('risk_region', ['a']),
    ('risk_region', 0.5)])
def test_wrong_choice_or_type_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f'parameter {name} is'):
        validate({name: value})


@pytest.mark.parametrize('value, said', [
    ([0.5, 1.0], 'has 2 values: give top, bottom, left, right'),
    ([0.5, 0.5, 0.0, 1.0], 'is 0.5, 0.5, 0, 1: give top'), ([0.5, 1.0, 1.0, 0.0], 'give top')])
def test_region_that_is_none_is_refused_by_name(value, said):
    with pytest.raises(InputError, match=f'parameter risk_region {said}|risk_region is .*{said}'):
        validate({'risk_region': value})
    assert validate({'risk_region': [0, 1, 0.25, 1]}).risk_region == (0.0, 1.0, 0.25, 1.0)


def test_whole_number_is_taken_for_a_float():
    settings = validate({'stale_after_s': 2})
    assert settings.stale_after_s == 2.0 and isinstance(settings.stale_after_s, float)


def test_change_is_all_or_nothing_and_leaves_foreign_names_alone():
    settings = Settings()
    with pytest.raises(InputError, match='raise_after'):
        changed(settings, {'overlay_alpha': 0.1, 'raise_after': 0}, configured=True)
    assert settings == Settings()
    assert changed(settings, {'use_sim_time': True}, configured=True) == settings


@pytest.mark.parametrize('name', TABLE)
def test_only_live_parameters_change_while_configured(name):
    entry = TABLE[name]
    if isinstance(entry.rule, ListRule):
        value = entry.rule.each.choices[:1] or {
            str: ('floor',), float: (0.5, 1.0, 0.0, 1.0)}[entry.rule.each.kind]
    else:
        within = 0.7 if 0.7 <= entry.rule.high else entry.rule.high / 2
        value = {bool: not entry.default, str: 'other', int: 7, float: within}[type(entry.default)]
        if entry.rule.choices:
            value = entry.rule.choices[1]
    change = {name: value}
    if entry.change in (LIVE, SWAP):
        assert value_of(changed(Settings(), change, configured=True), name) == value
        return
    with pytest.raises(InputError, match=f'parameter {name} is applied when'):
        changed(Settings(), change, configured=True)
    if entry.change == CONFIGURE:
        assert value_of(changed(Settings(), change, configured=False), name) == value
    else:
        with pytest.raises(InputError, match='read only'):
            changed(Settings(), change, configured=False)
