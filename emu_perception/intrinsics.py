# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera that a data set or a checkpoint is of; apart, for it needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from emu_perception.rules import as_number, as_whole, checked_fields, object_of, Rule


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera of the training images: sizes, focal lengths and centre in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


# What each field must be, whoever reads it.
SIZES: Mapping[str, Rule[int]] = dict.fromkeys(('width', 'height'), Rule(int, low=1))
LENGTHS: Mapping[str, Rule[float]] = {
    **dict.fromkeys(('fx', 'fy'), Rule(float, low=0.0, open=True)),
    **dict.fromkeys(('cx', 'cy'), Rule(float))}


def read_intrinsics(values: object, also: Mapping[str, Callable[[Any], Any]] | None = None,
                    ) -> tuple[Intrinsics, dict[str, Any]]:
    """
    Read the section ``intrinsics`` of a dataset.yaml, numbers as people write them in YAML.

    :param also: further fields that may stand there, each with what reads it: all others are
        refused. None: whatever else stands there is somebody else's and is passed over.
    :return: the camera, and those of ``also`` that are there.
    :raises ValueError: of the field that cannot be used, which a FieldError names, or of those
        that are missing.
    """
    readers: dict[str, Callable[[Any], Any]] = {
        **{name: as_whole(rule) for name, rule in SIZES.items()},
        **{name: as_number(rule) for name, rule in LENGTHS.items()}}
    given = object_of(values)
    if also is None:
        given = {name: value for name, value in given.items() if name in readers}
    found = checked_fields(given, {**readers, **(also or {})})
    missing = [name for name in readers if name not in found]
    if missing:
        raise ValueError(f'give {", ".join(missing)} too')
    return Intrinsics(*(found.pop(name) for name in readers)), found


class OfCamera(Protocol):
    """What is read here of a checkpoint's document."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the names of its tasks."""

    @property
    def intrinsics(self) -> Intrinsics | None:
        """Return the camera of its training images; None = unknown."""


def scale_problem(metadata: OfCamera) -> str:
    """
    Return why a checkpoint's depths can be metres of no camera; '' where they can be, or none.

    A network knows lengths only in the camera it was trained with.
    """
    if 'depth' not in metadata.tasks or metadata.intrinsics is not None:
        return ''
    return ('the checkpoint holds no training intrinsics, so its depth is of an unknown scale '
            'with every camera: give intrinsics in dataset.yaml and train or calibrate again')
