# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu predict``: ``emu_run``, whose command line is read before torch is loaded."""

from __future__ import annotations

import sys

from emu_perception.commands.arguments import parse
from emu_perception.commands.program import program


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code of ``emu_run``."""
    options = parse(arguments)
    print(f'{program("emu_run")}: loading PyTorch', file=sys.stderr)
    from emu_perception.commands.run import answer
    return answer(options)
