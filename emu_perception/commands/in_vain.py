# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Options of ``emu_run`` that were given and that nothing reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from emu_perception.commands.arguments import OF_GROUND, OF_HINTS, OF_PRIOR, OF_STREAMS


def in_vain(options: argparse.Namespace, *, each: bool) -> Iterator[str]:
    """
    Yield a line for those that nothing reads, and why.

    :param each: whether every image is judged by itself.
    """
    if each and (given := _given(options, OF_STREAMS)):
        yield (f'{given}: not read, because images are judged each by itself here; --judge stream '
               "judges them as a camera's")
    of_hints = OF_HINTS if options.camera_height is not None else {**OF_PRIOR, **OF_HINTS}
    if options.depth_hint is None and (given := _given(options, of_hints)):
        yield f'{given}: not read, because no depth camera is joined in; --depth-hint does'
    yield from ground_in_vain(options)


def ground_in_vain(options: argparse.Namespace) -> Iterator[str]:
    """Yield a line where the ground is said, and not how high the camera is above it."""
    if options.camera_height is None and (given := _given(options, OF_GROUND)):
        yield f"{given}: not read without the camera's height: give --camera-height"


def _given(options: argparse.Namespace, defaults: Mapping[str, object]) -> str:
    return ', '.join(f'--{name.replace("_", "-")}' for name, default in defaults.items()
                     if getattr(options, name) != default)
