# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The fields of a checkpoint's document: JSON value -> value of the metadata, or ValueError.

Format 1 had two thresholds with names of their own in its calibration; format 2 has the table.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from emu_perception.checkpoint.metadata import Calibration, FittedThreshold
from emu_perception.errors import InputError
from emu_perception.instances import InstanceSettings
from emu_perception.intrinsics import Intrinsics, LENGTHS, SIZES
from emu_perception.promises.constants import Promise, PromiseLevel
from emu_perception.rules import checked_fields, ListRule, object_of, Rule, Value

Convert = Callable[[Any], Any]
_NUMBER = Rule(float)
_POSITIVE = Rule(float, low=0.0, open=True)
_WHOLE = Rule(int)
_PIXELS = Rule(int, low=1)
_PERCENTILE = Rule(float, low=0.0, high=100.0, open=True)
_NOT_NEGATIVE = Rule(float, low=0.0)
_SHARE = Rule(float, low=0.0, high=0.9999, open=True)
_BYTE = Rule(int, low=0, high=255)
# What format 1 called the thresholds of the scores that it knew.
_FORMAT_1_SCORES = {'risk_segmentation': 'segmentation_entropy', 'risk_depth': 'depth_sigma'}


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _calibration(values: Any) -> Calibration:
    return Calibration(**checked_fields(values, {
        'temperature': _POSITIVE.checked, 'variance_scale': _POSITIVE.checked,
        'scores': _scores, 'promises': _promises}))


def _scores(values: Any) -> dict[str, FittedThreshold]:
    scores = object_of(values)
    return checked_fields(scores, dict.fromkeys(scores, _fitted))


def _fitted(values: Any) -> FittedThreshold:
    found = checked_fields(values, {
        'threshold': _POSITIVE.checked, 'percentile': _optional(_PERCENTILE.checked),
        'fitted_on': object_of})
    if 'threshold' not in found:
        raise ValueError('has no threshold')
    return FittedThreshold(**found)


def _promises(values: Any) -> dict[str, Promise]:
    promises = object_of(values)
    return checked_fields(promises, dict.fromkeys(promises, _promise))


def _promise(values: Any) -> Promise:
    found = checked_fields(values, {
        'levels': _levels, 'groups': _PIXELS.checked, 'fitted_on': object_of,
        'focal': _optional(_POSITIVE.checked)})
    if not {'levels', 'groups'} <= found.keys():
        raise ValueError('has no levels or no groups')
    return Promise(**found)


def _levels(values: Any) -> tuple[PromiseLevel, ...]:
    if not isinstance(values, list) or not values:
        raise ValueError('give a list of levels')
    levels = tuple(_promise_level(one) for one in values)
    if [one.level for one in levels] != sorted({one.level for one in levels}):
        raise ValueError('give levels in rising order, each once')
    return levels


def _promise_level(values: Any) -> PromiseLevel:
    found = checked_fields(values, {
        'level': _SHARE.checked, 'factors': ListRule(_NOT_NEGATIVE).checked,
        'promised': Rule(bool).checked})
    if len(found) < 3:
        raise ValueError('a level has level, factors and promised')
    return PromiseLevel(**found)


def _calibration_1(values: Any) -> Calibration:
    found = checked_fields(values, {
        'temperature': _POSITIVE.checked, 'variance_scale': _POSITIVE.checked,
        'risk_percentile': _optional(_PERCENTILE.checked),
        **dict.fromkeys(_FORMAT_1_SCORES, _optional(_POSITIVE.checked))})
    percentile = found.pop('risk_percentile', None)
    thresholds = {name: found.pop(old, None) for old, name in _FORMAT_1_SCORES.items()}
    return Calibration(**found, scores={
        name: FittedThreshold(threshold, percentile)
        for name, threshold in thresholds.items() if threshold is not None})


def _intrinsics(values: Any) -> Intrinsics:
    rules: dict[str, Rule[Any]] = {**SIZES, **LENGTHS}
    found = checked_fields(values, {name: rule.checked for name, rule in rules.items()})
    missing = [name for name in rules if name not in found]
    if missing:
        raise ValueError(f'give {", ".join(missing)} too')
    return Intrinsics(**found)


def _instances(values: Any) -> InstanceSettings:
    try:
        return InstanceSettings.of(values)
    except InputError as error:
        raise ValueError(str(error)) from error


def _several(values: Any, rule: Rule[Value], count: int) -> tuple[Value, ...]:
    found = ListRule(rule).checked(values)
    if len(found) != count:
        raise ValueError(f'give {count} of them, each {rule.wanted}')
    return found


def _rgb(values: Any) -> tuple[float, float, float]:
    red, green, blue = _several(values, _NUMBER, 3)
    return red, green, blue


def _std(values: Any) -> tuple[float, float, float]:
    red, green, blue = _several(values, _POSITIVE, 3)
    return red, green, blue


def _palette(values: Any) -> tuple[tuple[int, ...], ...]:
    colours = tuple(tuple(_BYTE.checked(part) for part in rgb) for rgb in values)
    if any(len(rgb) != 3 for rgb in colours):
        raise ValueError('colours are three numbers of 0..255')
    return colours


def _size(values: Any) -> tuple[int, int]:
    height, width = _several(values, _WHOLE, 2)
    return height, width


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError('give a list of names')
    return tuple(values)


def _shapes(values: Any) -> dict[str, tuple[int, ...]]:
    shapes = object_of(values)
    return checked_fields(shapes, dict.fromkeys(shapes, lambda shape: tuple(
        _PIXELS.checked(side) for side in shape)))


_FORMAT_1: dict[str, Convert] = {
    'architecture': object_of,
    'input_size': _size,
    'name': str,
    'classes': _names,
    'palette': _palette,
    'ignore_index': _WHOLE.checked,
    'mean': _rgb,
    'std': _std,
    'depth_min': _NUMBER.checked,
    'depth_max': lambda value: math.inf if value is None else _NUMBER.checked(value),
    'intrinsics': _optional(_intrinsics),
    'calibration': _calibration_1,
    'provenance': object_of,
    'metrics': object_of,
    'instances': _optional(_instances),
}
# By version of the format. The shapes of ``statistics`` stand for arrays that the file holds.
FIELDS: dict[int, dict[str, Convert]] = {
    1: _FORMAT_1,
    2: {**_FORMAT_1, 'calibration': _calibration, 'statistics': _shapes}}
