# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How many runs fit side by side."""

from __future__ import annotations

from training.runs.peak_memory import that_fit


def test_members_side_by_side_are_as_many_as_fit():
    assert that_fit(140 * 10**9, 10 * 10**9) == 12
    assert that_fit(8 * 10**9, 10 * 10**9) == 1, 'one is always tried'
