# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where two lists of classes differ, in a few words: of forty names one is to be read."""

from __future__ import annotations

from collections.abc import Sequence


def classes_apart(one: Sequence[str], other: Sequence[str]) -> str:
    """Return how many there are of each, or the first class that is another; '' of the same."""
    if len(one) != len(other):
        return f'{len(one)} names and {len(other)}'
    return next((f"class {index} is '{mine}' and '{its}'"
                 for index, (mine, its) in enumerate(zip(one, other)) if mine != its), '')
