# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The class of a method, found by the one line that ``training.recipes.registry`` has of it."""

from __future__ import annotations

from importlib import import_module

from ..recipes.registry import FAMILIES, TRAINED
from .module import TrainingModule


def training_class(method: str, family: str = 'all_mlp') -> type[TrainingModule]:
    """Return what trains a network of a family, and samples it: the method's, or its own."""
    own = FAMILIES[family].trains
    file, name = (method, TRAINED[method]) if own is None else (family, own)
    found: type[TrainingModule] = getattr(import_module(f'{__package__}.{file}'), name)
    return found
