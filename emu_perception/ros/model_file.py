# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the checkpoint is: a path of the user's, or the package's default model."""

from __future__ import annotations

import os
from pathlib import Path

from emu_perception.errors import InputError

DEFAULT_MODEL = 'emu_default.safetensors'


def resolve_model_file(model_file: str) -> Path:
    """
    Return the path of the checkpoint; '~' and $VARIABLES are expanded, empty is the default model.

    :raises InputError: if the default model is not to be found.
    """
    if model_file:
        return Path(os.path.expandvars(os.path.expanduser(model_file)))
    candidates = []
    try:
        from ament_index_python.packages import get_package_share_directory
        candidates.append(Path(get_package_share_directory('emu_perception'), 'models'))
    except (ImportError, LookupError, OSError):
        pass  # not installed: run from the source tree
    candidates.append(Path(__file__).resolve().parents[2] / 'models')
    for folder in candidates:
        if (folder / DEFAULT_MODEL).is_file():
            return folder / DEFAULT_MODEL
    raise InputError(f'model_file is empty and the default model {DEFAULT_MODEL} is not in '
                     f'{" nor in ".join(map(str, candidates))}: set the parameter model_file')
