# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Classes by their names, as a user lists them."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception.errors import InputError
from emu_perception.rules import known_fields
import numpy as np


def members(classes: Sequence[str], names: Sequence[str], parameter: str = '') -> np.ndarray:
    """
    Return which labels are of the named classes, bool [256]; 255, unlabelled, never is.

    :param classes: of the checkpoint, by index.
    :param parameter: or option that lists the names, for the error.
    :raises InputError: one line, if the checkpoint has no class of such a name.
    """
    table = np.zeros(256, bool)
    for name in names:
        if name not in classes:
            named = parameter if parameter.startswith('--') else f'parameter {parameter}'
            raise InputError(f"{named} names '{name}', which is no class of the "
                             f'checkpoint: {known_fields(name, classes) or "it has none"}')
        table[[index for index, one in enumerate(classes) if one == name]] = True
    return table
