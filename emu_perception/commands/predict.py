# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu predict``: ``emu_run``, whose line and files are looked at before torch is loaded."""

from __future__ import annotations

import sys

from emu_perception.commands.arguments import parse
from emu_perception.commands.program import program
from emu_perception.errors import EmuError, text_of
from emu_perception.foreign_files import print_any_name


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code of ``emu_run``."""
    options = parse(arguments)
    try:
        from emu_perception.commands.before_work import checked
        checked(options)
    except (EmuError, OSError) as error:
        print_any_name()
        print(f'{program("emu_run")}: {text_of(error)}', file=sys.stderr)
        return 1
    print(f'{program("emu_run")}: loading PyTorch', file=sys.stderr)
    from emu_perception.commands.run import answer
    return answer(options)
