# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A command's line, read before the command is imported: ``--help`` does not wait for torch.

``emu`` reads it so, and ``python -m training.NAME``.
"""

from __future__ import annotations

from importlib import import_module
import sys

from emu_perception.commands.reader_leaves import reader_may_leave


def read_first(module: str, arguments: list[str] | None) -> None:
    """
    Read a line by the ``parser()`` of a module that imports little; the command reads it again.

    Ends the process after ``--help`` and on what makes no sense.
    """
    with reader_may_leave():
        import_module(module).parser().options(arguments)


def started_module() -> str:
    """Return MODULE of ``python -m MODULE`` while Python is looking for it; '' at other times."""
    # So long the first argument is '-m' (documented); how Python was started has the name.
    if sys.argv[:1] != ['-m']:
        return ''
    return sys.orig_argv[-len(sys.argv)].removeprefix('-m')
