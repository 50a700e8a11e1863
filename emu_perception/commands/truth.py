# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is true of the images of a data set folder, for ``emu_run`` to show beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import logging
import math
from pathlib import Path
from typing import Any, TypeVar

import cv2
from emu_perception.cameras import png_bytes
from emu_perception.cameras.calibration_files import read_mapping
from emu_perception.errors import InputError
from emu_perception.prediction import UNLABELLED
from emu_perception.rules import Rule
import numpy as np

LOGGER = logging.getLogger('emu_perception')
Field = TypeVar('Field')


@dataclass(frozen=True)
class Truth:
    """
    Of one image; None: its folder has no such file.

    :ivar label: uint8 HxW, 255 unlabelled.
    :ivar depth: float32 HxW metres, NaN unknown.
    """

    label: np.ndarray | None
    depth: np.ndarray | None

    def at(self, size: tuple[int, int]) -> Truth:
        """Return it at a size (height, width), the nearest pixels taken."""
        def sized(values: np.ndarray | None) -> np.ndarray | None:
            if values is None or values.shape == size:
                return values
            return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST)
        return Truth(sized(self.label), sized(self.depth))


@dataclass(frozen=True)
class _Encoding:
    """Metres = stored · scale + offset, of values not ``invalid`` that end in (low, high)."""

    scale: float
    offset: float
    invalid: tuple[int, ...]
    low: float
    high: float


# What fields of a dataset.yaml have to be, by type and in words.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    'classes': ((list,), 'a list of names'),
    'ignore_index': ((int, float), 'a whole number'),
    'depth': ((dict,), 'scale, and perhaps offset, invalid, min and max')}


def _read(file: Path, document: Mapping[str, Any], name: str, convert: Callable[[Any], Field],
          default: Field) -> Field:
    """
    Return a field of a dataset.yaml, as training reads it; its default where there is none.

    :raises InputError: if it cannot be used.
    """
    value = document.get(name)
    if value is None:
        return default
    kinds, words = _KINDS[name]
    if not isinstance(value, kinds):
        raise InputError(f"{file}: field '{name}' is {str(value)[:80]!r}: give {words}")
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{file}: field '{name}' cannot be used ({error}): emu prepare check "
                         'says what is wrong') from error


def _names(value: list[Any]) -> tuple[str, ...]:
    return tuple(map(str, value))


def _index(value: Any) -> int:
    return Rule(int).checked(int(value) if isinstance(value, float) and value.is_integer()
                             else value)


def _encoding(depth: Mapping[str, Any]) -> _Encoding | None:
    """Return how metres are stored; None of disparities, which are none."""
    if depth.get('quantity', 'depth') != 'depth':
        return None
    invalid, high = depth.get('invalid'), depth.get('max')
    if not isinstance(invalid, (list, type(None))):
        raise ValueError('give a list of stored values as invalid')
    found = _Encoding(float(depth.get('scale', 0.0)), float(depth.get('offset', 0.0)),
                      tuple(map(_index, invalid or ())), float(depth.get('min', 0.0)),
                      math.inf if high is None else float(high))
    # Written so that NaN is refused.
    if not (found.scale and math.isfinite(found.scale) and math.isfinite(found.offset)
            and found.low < found.high):
        raise ValueError('give a scale that is not 0, a finite offset, and min below max')
    return found


class TruthFolder:
    """
    ``label/`` and ``depth/`` of a data set folder, read as its dataset.yaml says.

    :param classes: of the network: labels of another list of classes are not compared, which is
        said.
    :raises InputError: if what dataset.yaml says of them cannot be used.
    """

    def __init__(self, root: Path, document: Mapping[str, Any], classes: tuple[str, ...]) -> None:
        self._root, self._said = root, False
        file = root / 'dataset.yaml'
        names: tuple[str, ...] = _read(file, document, 'classes', _names, ())
        self._labels = bool(classes) and names == classes and (root / 'label').is_dir()
        if names and classes and names != classes and (root / 'label').is_dir():
            LOGGER.warning('%s: its classes are not those of the checkpoint: labels are not '
                           'compared', file)
        self._ignore = _read(file, document, 'ignore_index', _index, UNLABELLED)
        self._metres = (_read(file, document, 'depth', _encoding, None)
                        if (root / 'depth').is_dir() else None)

    @classmethod
    def beside(cls, source: Path, classes: tuple[str, ...]) -> TruthFolder | None:
        """
        Return that of a data set's root, or of its image/; None where the path is neither.

        :raises InputError: if its dataset.yaml cannot be used.
        """
        root = source.parent if source.name == 'image' else source
        file = root / 'dataset.yaml'
        if not (file.is_file() and any((root / kind).is_dir() for kind in ('label', 'depth'))):
            return None
        return cls(root, read_mapping(file), classes)

    def of(self, name: str, size: tuple[int, int] | None = None) -> Truth:
        """
        Return what there is of an image; a map that is damaged or of another size is said once.

        :param name: of its file.
        :param size: (height, width) of it; None = not checked.
        """
        stem = f'{Path(name).stem}.png'
        label = self._read(self._root / 'label' / stem, size) if self._labels else None
        stored = self._read(self._root / 'depth' / stem, size) if self._metres else None
        if label is not None:
            # A class beyond 255 is none that a network of 255 has.
            label = np.where((label == self._ignore) | (label > UNLABELLED), UNLABELLED, label)
        return Truth(None if label is None else label.astype(np.uint8), self._depth(stored))

    def _depth(self, stored: np.ndarray | None) -> np.ndarray | None:
        if stored is None or self._metres is None:
            return None
        one = self._metres
        metres = stored * np.float64(one.scale) + one.offset
        known = ~np.isin(stored, one.invalid) & (metres > one.low) & (metres < one.high)
        return np.where(known, metres, np.nan).astype(np.float32)

    def _read(self, path: Path, size: tuple[int, int] | None) -> np.ndarray | None:
        try:
            values = png_bytes.stored_values(path.read_bytes(),
                                             palette=path.parent.name == 'label')
        except FileNotFoundError:
            return None  # A split may be without.
        except OSError as error:
            values, why = None, f'cannot be read ({error.strerror})'
        else:
            why = 'cannot be read (no PNG of one channel, or damaged)'
        if values is not None and size is not None and values.shape != size:
            why = f'is {values.shape[1]}x{values.shape[0]}, its image {size[1]}x{size[0]}'
            values = None
        if values is None and not self._said:
            self._said = True
            LOGGER.warning('%s: %s: not compared', path, why)
        return values
