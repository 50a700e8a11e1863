# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of a recipe on a command line: ``--epochs 3`` says what ``epochs=3`` does."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
import dataclasses

from .options import RecipeError
from .recipe import Recipe


def field_names(kind: type, prefix: str = '') -> Iterator[str]:
    """Yield the names of a dataclass's options, those of a section as 'section.field'."""
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        section = item.default_factory
        if isinstance(section, type) and dataclasses.is_dataclass(section):
            yield from field_names(section, f'{prefix}{item.name}.')
        else:
            yield f'{prefix}{item.name}'


def fields_as_overrides(arguments: Sequence[str], options: Container[str]) -> list[str]:
    """
    Return arguments with ``--field value`` and ``--field=value`` as ``field=value``.

    :param options: of the command itself, which come first.
    :raises RecipeError: if a field has no value.
    """
    known = {*field_names(Recipe)}
    words, found = list(arguments), []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition('=')
        name = option[2:].replace('-', '_')
        if not option.startswith('--') or option in options or name not in known:
            found.append(word)
            continue
        if not equals:
            if not words:
                raise RecipeError(f'{option}: give a value, as {option}=VALUE or {name}=VALUE')
            value = words.pop(0)
        found.append(f'{name}={value}')
    return found
