# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a network comes from: what was done to make it, and whose terms it inherits.

Terms are of its data, of what it started from and of its teachers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
import shlex
import sys
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.program import is_subcommand

# What an ancestor's own provenance says of terms.
_TERMS = ('data_set', 'split', 'data_source', 'data_licence', 'initial_weights_licence')


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


def steps_of(metadata: CheckpointMetadata) -> list[str]:
    """
    Return what was done to make a network, the first step first, as ``provenance.steps`` says it.

    What trained it last is only one of them. Of a file that says no steps those are returned that
    its provenance tells of.
    """
    provenance = metadata.provenance
    if provenance.get('steps'):
        return [str(step) for step in provenance['steps']]
    method = (provenance.get('recipe') or {}).get('method')
    return [*([str(method)] if method else []),
            *([averaged(len(provenance['averaged']))] if provenance.get('averaged') else []),
            *([balanced(provenance['balanced']['tau'])] if provenance.get('balanced') else []),
            *([ADDED_OUTPUTS] if provenance.get('epistemic') else []),
            *([read_as(provenance['density']['depth_output'])] if provenance.get('density')
              else [])]


ADDED_OUTPUTS = 'epistemic outputs added'


def averaged(count: int) -> str:
    """Return the step of ``training.average``."""
    return f'average of {count}'


def balanced(tau: float) -> str:
    """Return the step of ``training.balance``."""
    return f'balanced with tau {tau:g}'


def read_as(depth_output: str) -> str:
    """Return the step of ``training.density``."""
    return f'depths read as {depth_output}'


def in_words(steps: Sequence[str]) -> str:
    """Return steps for people."""
    return ', then '.join(steps)


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
