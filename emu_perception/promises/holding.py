# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which promised maps hold for an image, and in one line why one does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from emu_perception.maps import MapRow, MAPS
from emu_perception.promises.constants import most_promised, Promise, PromiseLevel

if TYPE_CHECKING:  # The checkpoint package needs torch, which a node may lack until configure.
    from emu_perception.checkpoint.metadata import CheckpointMetadata

# A camera of another focal length is another camera; what is below is rounding and calibration.
_SAME_CAMERA = 1.1


def promises_for(metadata: CheckpointMetadata, level: float, *, focal: float | None,
                 fused: bool) -> dict[str, PromiseLevel]:
    """
    Return the constants of each promised map that holds for an image, by the map's name.

    As :func:`promise_problem`.
    """
    found = {}
    for name, promise in metadata.calibration.promises.items():
        one = promise.at(level)
        if one is not None and not promise_problem(metadata, name, level, focal=focal,
                                                   fused=fused):
            found[name] = one
    return found


def promise_problem(metadata: CheckpointMetadata, name: str, level: float, *,
                    focal: float | None, fused: bool) -> str:
    """
    Return in one line why a promised map does not hold for an image; '' where it does.

    :param name: of the map.
    :param focal: length in widths of the image; None = unknown.
    :param fused: whether a depth camera or the ground tells the scale, of which the fit knew
        nothing.
    """
    row, promise = MAPS[name], metadata.calibration.promises.get(name)
    if promise is None:
        return unpromised(row)
    if promise.at(level) is None:
        return f'promise_level is {level:g}: the checkpoint has {promise.words}'
    if row.task == 'depth' and fused:
        return ('a depth camera or the ground tells the scale, and the promise is of the '
                "network's own depth and sigma")
    if row.task == 'depth' and (focal is None or metadata.intrinsics is None):
        return 'the focal length is not known, and without it there are no metres'
    fitted = _fitted_focal(metadata, promise)
    if focal is not None and fitted is not None:
        ratio = focal / fitted
        if not abs(math.log(ratio)) <= math.log(_SAME_CAMERA):
            return (f'the focal length is {ratio:.2f} times that of the camera that the promise '
                    'is of: fit it to this camera with emu calibrate')
    return ''


def unpromised(row: MapRow) -> str:
    """Return in one line that a checkpoint has no constants of a promised map."""
    return f'the checkpoint promises no {row.words}: emu calibrate fits that'


def _fitted_focal(metadata: CheckpointMetadata, promise: Promise) -> float | None:
    """Return the focal length, in widths, that a promise was fitted at; None = unknown."""
    if promise.focal is not None or metadata.intrinsics is None:
        return promise.focal
    return metadata.intrinsics.fx / metadata.intrinsics.width


def level_problem(metadata: CheckpointMetadata, level: float) -> str:
    """Return in one line why a level cannot be asked for; '' where it, or nothing, is promised."""
    promises = metadata.calibration.promises
    if not promises or any(promise.at(level) for promise in promises.values()):
        return ''
    there = sorted({one.level for promise in promises.values() for one in promise.levels})
    return (f'promise_level is {level:g}: the checkpoint has '
            f'{", ".join(f"{one:g}" for one in there)}')


def promise_lines(metadata: CheckpointMetadata, level: float, *, hinted: bool) -> list[str]:
    """
    Return what a user should know of the promised maps of a checkpoint, in lines.

    :param hinted: whether a depth camera or the ground is joined in.
    """
    lines = []
    for name, promise in metadata.calibration.promises.items():
        one, topic = promise.at(level), f'~/{MAPS[name].topic}'
        if hinted and MAPS[name].task == 'depth':
            lines.append(f'no {topic} with depth_hint or ground_scale: the promise is of the '
                         "network's own depth")
        elif one is not None and not one.promised:
            lines.append(f'{topic} at {level:g} is calibrated, not promised: with '
                         f'{promise.groups} room{"s" * (promise.groups != 1)} a promise ends at '
                         f'{most_promised(promise.groups):.4g}')
    return lines
