# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Labels, metric depth and the uncertainty of both from one network in one pass.

``from emu_perception import Predictor`` is the way in from Python. It is loaded when it is asked
for: what needs no network, as the node before it has one, does not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emu_perception.predictor import Predictor

__version__ = '0.1.0'
__all__ = ['Predictor', '__version__']


def __getattr__(name: str) -> type[Predictor]:
    """Return the class of this name, imported at its first use."""
    if name == 'Predictor':
        from emu_perception.predictor import Predictor
        return Predictor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    """Return what there is to take, loaded or not."""
    return sorted({*globals(), *__all__})
