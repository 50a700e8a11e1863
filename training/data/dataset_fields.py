# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of a data set folder's dataset.yaml that need more than a type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

from emu_perception.errors import EmuError
from emu_perception.intrinsics import Intrinsics

IGNORE = 255


class DatasetError(EmuError):
    """A data set folder that cannot be used; the message names file, field and value."""


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


# (field, problem) -> the error that names the file too.
Wrong = Callable[[str, str], DatasetError]


def depth_encoding(values: Any, wrong: Wrong) -> DepthEncoding | None:
    """Read the section ``depth``."""
    if values is None:
        return None
    try:
        encoding = DepthEncoding(
            float(values['scale']), float(values.get('offset', 0.0)),
            tuple(int(value) for value in values.get('invalid') or ()),
            float(values.get('min', 0.0)), float(values.get('max', math.inf)),
            str(values.get('quantity', 'depth')))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise wrong('depth', f'is {values}: give scale, offset, invalid, min and max '
                    f'({error})') from error
    if not 0 <= encoding.min < encoding.max or encoding.scale == 0:
        raise wrong('depth', f'is {values}: min must be below max and scale not 0')
    if encoding.quantity not in ('depth', 'disparity'):
        raise wrong('depth.quantity', f"is '{encoding.quantity}': give depth or disparity")
    return encoding


def intrinsics(values: Any, wrong: Wrong) -> Intrinsics | None:
    """Read the section ``intrinsics``."""
    if values is None:
        return None
    try:
        camera = Intrinsics(int(values['width']), int(values['height']), *(
            float(values[name]) for name in ('fx', 'fy', 'cx', 'cy')))
        if min(camera.width, camera.height, camera.fx, camera.fy) <= 0:
            raise ValueError('sizes and focal lengths are above 0')
        return camera
    except (TypeError, ValueError, KeyError) as error:
        raise wrong('intrinsics', f'is {values}: give width, height, fx, fy, cx, cy '
                    f'({error})') from error


def baseline_m(values: Any, wrong: Wrong) -> float | None:
    """Read the field ``baseline`` of the section ``intrinsics``, metres."""
    baseline = values.get('baseline') if isinstance(values, dict) else None
    if baseline is None:
        return None
    if isinstance(baseline, bool) or not isinstance(baseline, (int, float)) \
            or not 0 < baseline < math.inf:
        raise wrong('intrinsics.baseline', f'is {baseline!r}: give metres above 0')
    return float(baseline)


def things(names: Any, classes: tuple[str, ...], wrong: Wrong) -> tuple[int, ...]:
    """Return the indices of the classes that ``things`` names."""
    if names is None:
        return ()
    if not isinstance(names, (list, tuple)):
        raise wrong('things', f'is {names!r}: give a list of names of classes')
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise wrong('things', f"names '{unknown[0]}', which is none of 'classes'")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise wrong('things', f"names '{twice[0]}' more than once")
    return tuple(classes.index(name) for name in names)


def sky(document: dict[str, Any], classes: tuple[str, ...], wrong: Wrong) -> int | None:
    """Return the index of the class that is infinitely far away, None where there is none."""
    # Named by itself where a class is called so; `sky: null` takes the sky as it was measured.
    name = document.get('sky', 'sky' if 'sky' in classes else None)
    if name is None:
        return None
    if name not in classes:
        raise wrong('sky', f"is {name!r}, which is none of 'classes': give a class infinitely "
                    'far away, or null')
    return classes.index(name)
