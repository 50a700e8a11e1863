# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The page of parameters says what the node declares."""

from __future__ import annotations

from emu_perception.ros.parameters import TABLE
from parameter_table import FILE, page


def test_the_written_page_is_made_of_the_table():
    written = FILE.read_text()
    assert written == page(), 'run PYTHONPATH=. python test/ros/parameter_table.py'
    assert all(f'\n| `{name}` | ' in written for name in TABLE)
