# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Options: dataclass fields with type, default, bounds and explanation in one place.

A document (YAML, overrides) becomes the dataclass or one line that names file, field and value.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import types
from typing import Any, get_args, get_origin, get_type_hints, Union

from emu_perception.errors import EmuError
from emu_perception.rules import known_fields, Rule

_NONE = type(None)


class RecipeError(EmuError):
    """A recipe that cannot be used; the message names file, field and value."""


def option(default: Any, explanation: str, *, low: float | None = None,
           high: float | None = None, choices: tuple[str, ...] = (), path: bool = False) -> Any:
    """
    Return a dataclass field.

    :param default: a section is given as its dataclass.
    :param low: smallest value allowed, of each item of a list.
    :param choices: the values allowed.
    :param path: whether it is a path, or may be one: of people, who write ~/runs.
    """
    metadata = {'explanation': explanation, 'low': low, 'high': high, 'choices': choices,
                'path': path}
    if isinstance(default, type) or isinstance(default, types.FunctionType):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def build(kind: Any, document: dict[str, Any], source: str, prefix: str = '') -> Any:
    """
    Make a dataclass of options from a document.

    :param source: named in errors.
    :param prefix: of the field names in errors, 'section.'.
    :raises RecipeError: if a field is unknown, missing, of the wrong type or out of bounds.
    """
    hints = get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    values = {}
    for name, value in document.items():
        if name not in hints:
            # Most of what is missed here is in a section.
            there = [f"'{section}.{name}'" for section, hint in hints.items()
                     if dataclasses.is_dataclass(hint) and name in get_type_hints(hint)]
            raise RecipeError(f"{source}: field '{prefix}{name}' is not known; " + (
                f'did you mean {" or ".join(there)}?' if there else
                f'fields here: {known_fields(name, hints)}'))
        values[name] = _convert(hints[name], value, fields[name].metadata, source,
                                f'{prefix}{name}')
    for name, item in fields.items():
        if (item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
                and name not in values):
            raise RecipeError(f"{source}: field '{prefix}{name}' is missing")
    return kind(**values)


def explained(kind: Any, prefix: str = '') -> list[str]:
    """Return a line for each field of a dataclass of options and of its sections."""
    lines = []
    for item in dataclasses.fields(kind):
        if item.default_factory is not dataclasses.MISSING \
                and dataclasses.is_dataclass(item.default_factory):
            lines += ['', f'{prefix}{item.name}: {item.metadata.get("explanation", "")}',
                      *explained(item.default_factory, f'{prefix}{item.name}.')]
            continue
        default = '(required)' if item.default is dataclasses.MISSING \
            and item.default_factory is dataclasses.MISSING else item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if not isinstance(default, str):  # As a recipe and a command line have it: null, [0.5, 2].
            default = json.dumps(plain(default))
        choices = item.metadata.get('choices')
        lines.append(f'  {prefix}{item.name} = {default}   '
                     f'{" | ".join(choices) + "; " if choices else ""}'
                     f'{item.metadata.get("explanation", "")}')
    return lines


def plain(value: Any) -> Any:
    """Return nested options as what YAML can write: tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def by_field(values: dict[str, Any]) -> dict[str, Any]:
    """Return plain options with those of a section named as 'section.field'."""
    return {name: value for section, part in values.items() for name, value in (
        ((f'{section}.{field}', inner) for field, inner in part.items())
        if isinstance(part, dict) else ((section, part),))}


def _convert(kind: Any, value: Any, metadata: Any, source: str, name: str) -> Any:
    def wrong(expected: str) -> RecipeError:
        return RecipeError(f"{source}: field '{name}' is {value!r}: give {expected}")

    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise wrong('a section of fields')
        return build(kind, value, source, f'{name}.')
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and _NONE in arguments:
            return None
        given = [item for item in arguments if item is not _NONE]
        # A number, or a mapping of numbers: what is given says which.
        kind = next((item for item in given if get_origin(item) is dict
                     and isinstance(value, dict)), given[0])
        origin, arguments = get_origin(kind), get_args(kind)
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong('a mapping')
        return value
    if origin is tuple:
        many = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, (list, tuple)) or not (many or len(value) == len(arguments)):
            raise wrong('a list' if many else f'a list of {len(arguments)} values')
        kinds = [arguments[0]] * len(value) if many else list(arguments)
        return tuple(_convert(item, part, metadata, source, name)
                     for item, part in zip(kinds, value))
    if kind is float and isinstance(value, str):
        try:  # YAML reads 1e-4 (without a dot) as text.
            value = float(value)
        except ValueError:
            raise wrong('a number') from None
    low, high = metadata.get('low'), metadata.get('high')
    rule: Rule[Any] = Rule(kind, -math.inf if low is None else low,
                           math.inf if high is None else high,
                           choices=metadata.get('choices', ()))
    try:
        checked = rule.checked(value)
        return os.path.expanduser(checked) if metadata.get('path') else checked
    except ValueError as error:
        raise RecipeError(f"{source}: field '{name}' is {value!r}: {error}") from error
