# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The programs of ``ros2 run emu_perception``: subcommands of ``emu`` by names of their own.

So each reads its line, says what it lacks and answers ``--help`` as the subcommand does.
"""

from __future__ import annotations

import sys

from emu_perception.commands.emu import called
from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.commands.subcommands import ELSEWHERE, SUBCOMMANDS


def emu_node() -> int:
    """Run ``emu node``."""
    return _as('emu_node')


def emu_multi() -> int:
    """Run ``emu multi``."""
    return _as('emu_multi')


def replay_camera() -> int:
    """Run ``emu replay``."""
    return _as('replay_camera')


def emu_run() -> int:
    """Run ``emu predict``."""
    return _as('emu_run')


def emu_demo() -> int:
    """Run ``emu demo``."""
    return _as('emu_demo')


def emu_benchmark() -> int:
    """Run ``emu benchmark``."""
    return _as('emu_benchmark')


def _as(name: str) -> int:
    with reader_may_leave():
        return called(name, SUBCOMMANDS[ELSEWHERE[name]], sys.argv[1:])
