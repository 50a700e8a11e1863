# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of recipes that had another name: files that people have written keep working."""

from __future__ import annotations

import logging
from typing import Any

LOGGER = logging.getLogger('training')
# Old name: new name; a field of a section is named with it and stays in it.
EARLIER_NAMES = {
    'frozen_statistics': 'freeze_bn',
    'augmentation.spoil_probability': 'augmentation.corruption_probability'}


def renamed(document: dict[str, Any], source: str = '') -> dict[str, Any]:
    """
    Return a recipe's document with the names of today.

    :param document: as it is written in YAML or in a checkpoint; it is not changed.
    :param source: named in the line that is logged for each field that has changed; '' = none is.
    """
    found = {name: dict(value) if isinstance(value, dict) else value
             for name, value in document.items()}
    for old, new in EARLIER_NAMES.items():
        *sections, name = old.split('.')
        section = found.get(sections[0]) if sections else found
        today = new.rpartition('.')[2]
        # With both names the old one stays, to be refused as a field that is not known.
        if isinstance(section, dict) and name in section and today not in section:
            section[today] = section.pop(name)
            if source:
                LOGGER.warning("%s: field '%s' is called '%s' now", source, old, new)
    return found
