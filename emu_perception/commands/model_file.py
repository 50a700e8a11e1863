# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's default model is, installed or in the source tree, without ROS."""

from __future__ import annotations

from pathlib import Path

from emu_perception.errors import InputError

DEFAULT_MODEL = 'emu_default.safetensors'


def default_model() -> Path:
    """
    Return the path of the default model: <prefix>/share/emu_perception/models, or models/.

    :raises InputError: if it is nowhere above this file.
    """
    for parent in Path(__file__).resolve().parents:
        for folder in (parent / 'share/emu_perception/models', parent / 'models'):
            if (folder / DEFAULT_MODEL).is_file():
                return folder / DEFAULT_MODEL
    raise InputError(f'the default model {DEFAULT_MODEL} is not beside {Path(__file__).parent} '
                     'nor in the share/emu_perception/models of its prefix: give --model FILE')
