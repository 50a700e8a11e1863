# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a recipe must say for the features of a frozen encoder to be kept: a line for each field.

A flip is no line: an image has two views then, and both are kept. Neither is the jitter of a
student's teacher, which changes the teacher's copy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    """
    A field that must have one value.

    :ivar why: else the kept features would be wrong, or of no use; a clause after the value.
    :ivar method: that alone reads the field; None = all do.
    """

    field: str
    wanted: Any
    why: str
    method: str | None = None


CONDITIONS = (
    Condition('finetune.encoder', 'none', 'so that the encoder learns and its features change'),
    Condition('augmentation.scale', (1.0, 1.0), 'so that no view is seen twice'),
    Condition('augmentation.border_probability', 0.0, 'so that views lie at random places'),
    Condition('augmentation.color_jitter', 0.0, 'so that no view is seen twice'),
    Condition('augmentation.corruption_probability', 0.0, 'so that no view is seen twice'),
    Condition('emuformer.mix', 'none', 'which makes new images of the views', 'emuformer'),
    Condition('views', 'loader', 'but it is the loader that reads kept features'),
    Condition('devices', 1, 'but one process alone keeps features'),
    Condition('nodes', 1, 'but one process alone keeps features'))


def cache_refusal(value_of: Callable[[str], Any]) -> str | None:
    """
    Return why a recipe's features cannot be kept, one line; None where they can, or need not.

    :param value_of: a field of the recipe, 'section.field'.
    """
    cache = value_of('cache_features')
    if cache == 'none':
        return None
    method = value_of('method')
    for condition in CONDITIONS:
        value = value_of(condition.field)
        if value != condition.wanted and condition.method in (None, method):
            return _line(condition.field, value, condition.why, condition.wanted, cache)
    if method == 'mc_dropout':
        return (f"field 'method' is 'mc_dropout', whose encoder drops at random, and "
                f"'cache_features' is '{cache}': give cache_features=none")
    crop, whole = value_of('crop_size'), value_of('input_size')
    if crop not in (None, whole):
        return _line('crop_size', crop, 'so that views lie at random places', None, cache)
    arguments = value_of('network.encoder_arguments')
    for name, value in arguments.items():
        if 'drop' in name and value:
            return _line(f'network.encoder_arguments.{name}', value,
                         'so that the encoder drops at random', 0, cache)
    return None


def _line(field: str, value: Any, why: str, wanted: Any, cache: str) -> str:
    value, wanted = (list(part) if isinstance(part, tuple) else 'null' if part is None else part
                     for part in (value, wanted))
    return (f"field '{field}' is {value!r}, {why}, and 'cache_features' is '{cache}': give "
            f'{field}={str(wanted).replace(" ", "")}, or cache_features=none')
