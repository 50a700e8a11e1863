# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Offline: train, evaluate and export the networks of emu_perception.

``training`` in the tree, ``emu_training`` where it is installed: its files import each other
relatively. Of ``python -m training.NAME`` the line is read here, where Python passes by before it
imports the command and with it torch.
"""

from __future__ import annotations

from pathlib import Path
import sys

from emu_perception.commands.read_first import read_first, started_module
from emu_perception.errors import EmuError

_package, _, _command = started_module().partition('.')
_command = _command.removesuffix('.__main__')
if (_package == __name__ and _command
        and Path(__file__).with_name('arguments').joinpath(*_command.split('.')).with_suffix(
            '.py').is_file()):
    try:
        read_first(f'{__name__}.arguments.{_command}', None)
    except EmuError as _error:  # As command_line says it, which imports torch.
        sys.exit(f'error: {_error}')
