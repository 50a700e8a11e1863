# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The fields of a data set folder's dataset.yaml, each by a rule of ``emu_perception.rules``.

Training reads the whole folder by them, ``emu predict`` what is true of its images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded
from emu_perception.intrinsics import Intrinsics, read_intrinsics
from emu_perception.rules import as_number, as_whole, checked_fields, FieldError, Rule
import numpy as np

IGNORE = 255
# Of an 8-bit map, as far as classes go.
_MOST_CLASSES = 255
# Fields that are for people: whatever stands there is kept as it is.
_NOTES = ('source', 'note', 'licence', 'license')


class DatasetError(InputError):
    """A data set folder that cannot be used; the message names file, field and value."""


def checked_root(root: str | Path) -> Path:
    """
    Return a data set folder that is there; what lies in it is not asked here.

    :raises DatasetError: if there is none.
    """
    folder = expanded(root)
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f'{root}: is a file; give a data set folder')
    if not folder.is_dir():
        raise DatasetError(f'{root}: no such data set folder')
    return folder


@dataclass(frozen=True)
class DepthEncoding:
    """
    metres = value · scale + offset, for values not in ``invalid`` that end in (min, max).

    :ivar quantity: 'depth', or 'disparity', whose values are pixels and not metres.
    """

    scale: float
    offset: float
    invalid: tuple[int, ...]
    min: float  # noqa: A003
    max: float  # noqa: A003
    quantity: str = 'depth'

    def decoded(self, stored: np.ndarray) -> np.ndarray:
        """Return stored values as float32, metres or pixels of disparity; 0 where invalid."""
        values = stored.astype(np.float32) * self.scale + self.offset
        valid = (values > self.min) & (values < self.max)
        if self.invalid:
            valid &= ~np.isin(stored, self.invalid)
        return np.where(valid, values, 0.0).astype(np.float32)


@dataclass(frozen=True)
class DatasetFields:
    """
    What a dataset.yaml says, its defaults filled in.

    :ivar depth_unit: for people: of what ``depth`` gives.
    :ivar baseline_m: of a stereo camera, or None.
    :ivar things: indices of the classes that have instances.
    :ivar source: where it is from, as the document says it; ``licence``: under which terms.
    :ivar sky: index of the class that is infinitely far away, None where there is none.
    """

    name: str = ''
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, ...], ...] | None = None
    ignore_index: int = IGNORE
    depth: DepthEncoding | None = None
    depth_unit: str = 'm'
    intrinsics: Intrinsics | None = None
    baseline_m: float | None = None
    things: tuple[int, ...] = ()
    sky: int | None = None
    source: Any = None
    licence: Any = None


def read_fields(document: Mapping[str, Any], file: Path) -> DatasetFields:
    """
    Check a dataset.yaml.

    :raises DatasetError: names file, field and value, and what to give instead.
    """
    try:
        return _fields(document)
    except FieldError as error:
        raise DatasetError(error.of_file(file)) from error


def _fields(document: Mapping[str, Any]) -> DatasetFields:
    values = checked_fields(dict(document), {
        'name': _text, 'classes': _optional(checked_class_names), 'palette': _optional(_colours),
        'ignore_index': as_whole(Rule(int)), 'depth': _optional(_depth),
        'intrinsics': _optional(_camera), 'things': _optional(_names), 'sky': _optional(str),
        **dict.fromkeys(_NOTES, _as_it_is)})
    classes, palette = values.get('classes') or (), values.get('palette') or None
    if palette is not None and len(palette) != len(classes):
        raise FieldError(('palette',), f'has {len(palette)} colours for {len(classes)} classes',
                         document['palette'])
    depth, unit = values.get('depth') or (None, 'm')
    camera, baseline_m = values.get('intrinsics') or (None, None)
    return DatasetFields(
        values.get('name', ''), classes, palette, values.get('ignore_index', IGNORE), depth, unit,
        camera, baseline_m, _things(values.get('things') or (), classes), _sky(values, classes),
        values.get('source'), values.get('licence', values.get('license')))


def _optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    return '' if value is None else str(value)


def checked_class_names(value: Any) -> tuple[str, ...]:
    """
    Return the names of classes, each another one: figures and planners tell them by their names.

    :raises ValueError: of what is wrong, and what to give.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError('give a list of names')
    if len(value) > _MOST_CLASSES:
        raise ValueError(f'has {len(value)} names, at most {_MOST_CLASSES} fit')
    for index, name in enumerate(value):
        if isinstance(name, bool) or not isinstance(name, (str, int, float)) or name == '':
            raise ValueError(f'name {index} is {name!r}, no text: YAML takes no, off, null and '
                             "what is empty for something else; put names in quotes, 'off'")
    names = tuple(str(name) for name in value)
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f"'{twice}' stands there more than once: give each class a name of its "
                         'own')
    return names


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError('give a list of names of classes')
    return tuple(str(name) for name in value)


def _colours(value: Any) -> tuple[tuple[int, ...], ...]:
    part = Rule(int, low=0, high=255)
    if not isinstance(value, (list, tuple)) or not all(
            isinstance(rgb, (list, tuple)) and len(rgb) == 3 for rgb in value):
        raise ValueError('give a list of [red, green, blue] of 0 to 255')
    return tuple(tuple(part.checked(each) for each in rgb) for rgb in value)


def _depth(value: Any) -> tuple[DepthEncoding, str]:
    """Read the section ``depth``: how its values are decoded, and in what."""
    found = checked_fields(value, {
        'scale': as_number(Rule(float)), 'offset': as_number(Rule(float)),
        'invalid': _optional(_stored_values), 'min': as_number(Rule(float, low=0.0)),
        'max': _limit, 'quantity': Rule(str, choices=('depth', 'disparity')).checked,
        'unit': str, **dict.fromkeys(_NOTES, _as_it_is)})
    if not found.get('scale'):
        raise FieldError((), "give 'scale', which is not 0; perhaps offset, invalid, min and max",
                         value)
    encoding = DepthEncoding(
        found['scale'], found.get('offset', 0.0), found.get('invalid') or (),
        found.get('min', 0.0), found.get('max', math.inf), found.get('quantity', 'depth'))
    if encoding.min >= encoding.max:
        raise ValueError('min must be below max')
    return encoding, found.get('unit', 'm')


def _limit(value: Any) -> float:
    """Read the largest depth; .inf is none."""
    return math.inf if value is None or value in (math.inf, 'inf') else as_number(
        Rule(float, low=0.0, open=True))(value)


def _stored_values(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError('give a list of stored values')
    return tuple(as_whole(Rule(int))(each) for each in value)


def _camera(value: Any) -> tuple[Intrinsics, float | None]:
    """Read the section ``intrinsics``: the camera, and the baseline of a stereo camera, metres."""
    camera, more = read_intrinsics(value, {
        'baseline': _optional(as_number(Rule(float, low=0.0, open=True, unit='m'))),
        **dict.fromkeys(_NOTES, _as_it_is)})
    return camera, more.get('baseline')


def _things(names: tuple[str, ...], classes: tuple[str, ...]) -> tuple[int, ...]:
    for name in names:
        if name not in classes:
            raise FieldError(('things',), f"'{name}' is none of 'classes'", list(names))
        if names.count(name) > 1:
            raise FieldError(('things',), f"'{name}' stands there more than once", list(names))
    return tuple(classes.index(name) for name in names)


def _sky(values: Mapping[str, Any], classes: tuple[str, ...]) -> int | None:
    # Named by itself where a class is called so; `sky: null` takes the sky as it was measured.
    name = values.get('sky', 'sky' if 'sky' in classes else None)
    if name is None:
        return None
    if name not in classes:
        raise FieldError(('sky',), "is none of 'classes': give a class infinitely far away, or "
                         'null', name)
    return classes.index(name)
