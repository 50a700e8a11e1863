# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where two networks that should be alike differ, in a few words: not all of what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.networks.families import DEFAULT_FAMILY

from .class_names import classes_apart

_SHOWN = 3  # Parts of an architecture.


def networks_apart(name: str, own: CheckpointMetadata, other: CheckpointMetadata,
                   file: object) -> str:
    """
    Return how a field of one network's document differs from another's, a clause.

    :param file: that the other is of.
    """
    mine, its = getattr(own, name), getattr(other, name)
    if name == 'classes':
        return f"field 'classes' is not that of {file}: {classes_apart(mine, its)}"
    if name == 'architecture':
        return _architectures_apart(mine, its, file)
    return f"field '{name}' is {_plain(mine)}, that of {file} is {_plain(its)}"


def _architectures_apart(mine: Mapping[str, Any], its: Mapping[str, Any], file: object) -> str:
    families = [one.get('family', DEFAULT_FAMILY) for one in (mine, its)]
    if families[0] != families[1]:
        return f"is of family '{families[0]}', {file} of '{families[1]}'"
    parts = [part for part in dict.fromkeys((*its, *mine)) if mine.get(part) != its.get(part)]
    more = f' and {len(parts) - _SHOWN} more' if len(parts) > _SHOWN else ''
    own, other = (', '.join(f'{part} {one.get(part)}' for part in parts[:_SHOWN])
                  for one in (mine, its))
    return f"field 'architecture' has {own}{more}, that of {file} {other}"


def _plain(value: object) -> object:
    return [*value] if isinstance(value, tuple) else value  # As YAML and JSON have it.
