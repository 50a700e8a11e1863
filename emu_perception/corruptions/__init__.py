# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ruler: corruptions by severity, breaks of content, faults on the way, mild changes."""

from emu_perception.corruptions.levels import SEVERITIES
from emu_perception.corruptions.registry import (
    BASIC,
    BREAKS,
    corrupted,
    CORRUPTIONS,
    FAULTS,
    MILD,
    MOVED,
)

__all__ = ['BASIC', 'BREAKS', 'CORRUPTIONS', 'FAULTS', 'MILD', 'MOVED', 'SEVERITIES', 'corrupted']
