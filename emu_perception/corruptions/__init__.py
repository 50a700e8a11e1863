# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ruler: corruptions by severity, breaks of content and mild changes of an image."""

from emu_perception.corruptions.levels import SEVERITIES
from emu_perception.corruptions.registry import (
    BASIC,
    BREAKS,
    corrupted,
    CORRUPTIONS,
    MILD,
    MOVED,
)

__all__ = ['BASIC', 'BREAKS', 'CORRUPTIONS', 'MILD', 'MOVED', 'SEVERITIES', 'corrupted']
