# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the training code is: beside a source tree, or installed under a name of its own."""

from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import sys

from emu_perception.errors import InputError

# `training` is a name that anybody's code may have: installed, it is this one's.
IN_THE_TREE, INSTALLED = 'training', 'emu_training'


def offline_package() -> str:
    """
    Return the name of the training package, which can be imported then, in child processes too.

    The running code's own comes first: a source tree runs the training code of that tree.

    :raises InputError: if there is none, or another package of its name is in the way.
    """
    root = Path(__file__).resolve().parents[2]
    if (root / IN_THE_TREE / 'command_line.py').is_file():
        _make_importable(str(root))
        found = find_spec(IN_THE_TREE)
        if found is None or Path(str(found.origin)).resolve().parents[1] != root:
            raise InputError(f"another package named '{IN_THE_TREE}' is loaded in this process "
                             f'already: {None if found is None else found.origin}')
        return IN_THE_TREE
    if find_spec(INSTALLED) is None:
        raise InputError(f'the training code, package {INSTALLED}, is not installed beside '
                         'emu_perception: install the package again')
    return INSTALLED


def _make_importable(root: str) -> None:
    if root not in sys.path:
        sys.path.insert(0, root)
    # Members of an ensemble, and loaders, are processes of their own.
    before = os.environ.get('PYTHONPATH', '')
    if root not in before.split(os.pathsep):
        os.environ['PYTHONPATH'] = root + (os.pathsep + before if before else '')
