# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes of networks and images as people type them."""

from __future__ import annotations

from emu_perception.errors import InputError

LARGEST_SIDE = 16384  # What an image may have; a network is refused by its own limit.


def size_of(text: str, option: str = '--size') -> tuple[int, int]:
    """
    Read a network's HEIGHTxWIDTH.

    :param option: that gave it.
    :raises InputError: if it is something else, or no multiple of 32.
    """
    sides = _sides(text)
    if sides is None or any(side < 32 or side % 32 for side in sides):
        raise InputError(f"{option} is '{text}': give HEIGHTxWIDTH in multiples of 32, as 480x640")
    return sides


def image_size_of(text: str, option: str) -> tuple[int, int]:
    """
    Read an image's HEIGHTxWIDTH, which is any.

    :param option: that gave it.
    :raises InputError: if it is something else.
    """
    sides = _sides(text)
    if sides is None or not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise InputError(f"{option} is '{text}': give HEIGHTxWIDTH in pixels, as 480x640")
    return sides


def _sides(text: str) -> tuple[int, int] | None:
    height, _, width = text.partition('x')
    # Not isdigit alone: there are digits that int() does not read, and more than it takes.
    if not all(side.isascii() and side.isdigit() and len(side) < 8 for side in (height, width)):
        return None
    return int(height), int(width)
