# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network's size as people type it."""

from __future__ import annotations

from emu_perception.errors import InputError


def size_of(text: str, option: str = '--size') -> tuple[int, int]:
    """
    Read HEIGHTxWIDTH.

    :param option: that gave it.
    :raises InputError: if it is something else, or no multiple of 32.
    """
    height, _, width = text.partition('x')
    # Not isdigit alone: there are digits that int() does not read.
    if not all(side.isascii() and side.isdigit() for side in (height, width)) or any(
            int(side) < 32 or int(side) % 32 for side in (height, width)):
        raise InputError(f"{option} is '{text}': give HEIGHTxWIDTH in multiples of 32, as 480x640")
    return int(height), int(width)
