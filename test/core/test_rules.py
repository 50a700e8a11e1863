# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A value from outside is used as it is, or refused with what to give instead."""

from __future__ import annotations

import math

from emu_perception.rules import as_real, checked_fields, ListRule, Rule
import numpy as np
import pytest
import torch

RATIO = Rule(float, low=0.0, high=1.0)
LENGTH = Rule(float, low=0.0, open=True, unit='m')
COUNT = Rule(int, low=1, high=1000)
WAY = Rule(str, choices=('raw', 'compressed'))


@pytest.mark.parametrize(('rule', 'value'), [
    (RATIO, 0.0), (RATIO, 1.0), (LENGTH, 1e-9), (COUNT, 1), (COUNT, 1000), (WAY, 'raw'),
    (Rule(bool), False), (Rule(str), ''), (Rule(int), 10**400)])
def test_a_value_within_the_rule_stays_as_it_is(rule, value):
    found = rule.checked(value)
    assert found is value


def test_a_whole_number_is_taken_for_a_float_and_nothing_else_is_converted():
    found = LENGTH.checked(2)
    assert found == 2.0 and isinstance(found, float)
    for rule, value in ((LENGTH, '2'), (LENGTH, True), (COUNT, 2.0), (COUNT, '2'), (COUNT, True),
                        (Rule(bool), 1), (Rule(str), 5), (Rule(str), None)):
        with pytest.raises(ValueError, match='^give '):
            rule.checked(value)


@pytest.mark.parametrize('value', [-1e-9, 1.0000001, math.nan, math.inf, -math.inf, 10**400,
                                   -10**400, None, [0.5]])
def test_what_is_out_of_bounds_or_no_number_is_refused(value):
    with pytest.raises(ValueError, match='^give a number from 0 to 1$'):
        RATIO.checked(value)


@pytest.mark.parametrize(('rule', 'wanted'), [
    (LENGTH, 'a number above 0 m'), (COUNT, 'a whole number from 1 to 1000'),
    (WAY, 'one of raw, compressed'), (Rule(bool), 'true or false'), (Rule(str), 'text'),
    (Rule(float), 'a number'), (Rule(int, low=2), 'a whole number of at least 2'),
    (Rule(int, 0, 2**31 - 1), 'a whole number from 0 to 2147483647'),
    (Rule(float, low=0.0, high=100.0, open=True), 'a number above 0 and at most 100')])
def test_it_says_what_to_give(rule, wanted):
    assert rule.wanted == wanted
    with pytest.raises(ValueError, match=f'^give {wanted}$'):
        rule.checked([])


def test_a_list_is_one_of_good_values_or_refused_with_what_to_give():
    rule = ListRule(WAY)
    assert rule.checked(['raw', 'compressed']) == ('raw', 'compressed')
    assert rule.checked([]) == rule.checked(()) == ()
    for values in ('raw', b'raw', ['raw', 'other'], [1], None, 3, {'raw': 1}):
        with pytest.raises(ValueError, match='^give a list, each one of raw, compressed$'):
            rule.checked(values)
    assert ListRule(LENGTH).checked(iter([1, 2.5])) == (1.0, 2.5)


def test_an_open_bound_is_no_value_itself():
    for value in (0, 0.0, -0.0):
        with pytest.raises(ValueError):
            LENGTH.checked(value)


@pytest.mark.parametrize(('values', 'text'), [
    ({'a': 2.0}, 'a: give a number from 0 to 1'), ({'c': 1}, "'c' is none of its fields: a, b"),
    ([], 'give an object')])
def test_the_fields_of_an_object_are_named(values, text):
    with pytest.raises(ValueError, match=text):
        checked_fields(values, {'a': RATIO.checked, 'b': WAY.checked})
    assert checked_fields({'a': 1}, {'a': RATIO.checked, 'b': WAY.checked}) == {'a': 1.0}


@pytest.mark.parametrize(('value', 'number'), [
    (5, 5.0), (-0.5, -0.5), (math.inf, math.inf), (np.float32(0.5), 0.5), (np.int64(3), 3.0),
    (np.array(2.0), 2.0), (torch.tensor(2.0), 2.0), (math.nan, None), (np.float32('nan'), None),
    (True, None), (np.True_, None), (torch.tensor(True), None), ('5', None), (b'5', None),
    (None, None), (1j, None), ([5.0], None), (np.array([5.0]), None), (np.array([1.0, 2.0]), None),
    (torch.ones(2), None), (10**400, None)])
def test_one_number_of_any_library_is_a_number_and_nothing_else(value, number):
    assert as_real(value) == number
