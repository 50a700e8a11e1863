# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whose terms a network inherits: of its data, of what it started from and of its teachers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
import shlex
import sys
from typing import Any

from emu_perception.checkpoint import Calibration, CheckpointMetadata
from emu_perception.commands.program import is_subcommand

# What an ancestor's own provenance says of terms.
_TERMS = ('data_set', 'split', 'data_source', 'data_licence', 'initial_weights_licence')


def with_other_weights(metadata: CheckpointMetadata, name: str, **provenance: Any,
                       ) -> CheckpointMetadata:
    """
    Return the document of a network whose weights are others now: measured and fitted is nothing.

    :param provenance: what is to be added to where it is from.
    """
    whence = {**metadata.provenance, **provenance}
    whence.pop('calibration', None)
    return replace(metadata, name=name, calibration=Calibration(), statistics={}, metrics={},
                   provenance=whence)


def ancestors_of(parents: Iterable[tuple[str, CheckpointMetadata]]) -> list[dict[str, str]]:
    """
    Return the terms of each ancestor, the parents' own ancestors included, each once.

    :param parents: what each is to the new network ('teacher', 'start', 'averaged'), with its
        document.
    """
    found: list[dict[str, str]] = []
    for role, metadata in parents:
        provenance = metadata.provenance
        own = {'role': role, 'name': metadata.name,
               **{name: str(provenance[name]) for name in _TERMS if provenance.get(name)}}
        for each in (own, *(provenance.get('ancestors') or ())):
            if each not in found:
                found.append(dict(each))
    return found


def terms_in_words(ancestor: Mapping[str, str]) -> str:
    """Return an ancestor's terms, for people."""
    data = ancestor.get('data_licence') or ancestor.get('data_source')
    return (f"{ancestor.get('role')} `{ancestor.get('name')}`: trained on "
            f"{ancestor.get('data_set', 'data that are not said')}"
            f'{f" ({data})" if data else ""}; its initial weights: '
            f"{ancestor.get('initial_weights_licence', 'not said')}")


def command_line() -> str:
    """Return the command of this process as it can be said again; '' where it is no command's."""
    if is_subcommand():
        return shlex.join(['emu', *sys.argv[1:]])
    path = Path(sys.argv[0])
    if path.suffix != '.py' or path.parent.name != 'training':
        return ''
    return shlex.join(['python', '-m', f'training.{path.stem}', *sys.argv[1:]])


def source_in_words(value: Any) -> str:
    """Return what a dataset.yaml says of its source or licence, a text or a mapping."""
    if isinstance(value, Mapping):
        return '; '.join(f'{name}: {text}' for name, text in value.items())
    return '' if value is None else ' '.join(str(value).split())
