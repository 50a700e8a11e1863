# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What was done to make a network, as the provenance in its checkpoint says it."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception.checkpoint import CheckpointMetadata

ADDED_OUTPUTS = 'epistemic outputs added'


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
