# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Labels, metric depth and the uncertainty of both from one network in one pass.

``from emu_perception import Predictor`` is the way in from Python. It is loaded when it is asked
for: what needs no network, as the node before it has one, does not wait for torch. So are
``EnsemblePredictor`` and ``train``, which are of the training code (``pip install '.[train]'``).
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from emu_perception.commands.offline import train
    from emu_perception.predictor import Predictor

__version__ = '0.2.0'
__all__ = ['EnsemblePredictor', 'Predictor', 'train', '__version__']


def __getattr__(name: str) -> Any:
    """Return what has this name, imported at its first use."""
    if name == 'Predictor':
        from emu_perception.predictor import Predictor
        return Predictor
    if name == 'train':
        from emu_perception.commands.offline import train
        return train
    if name == 'EnsemblePredictor':
        from emu_perception.commands.offline import ensemble_predictor
        return ensemble_predictor()
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    """Return what there is to take, loaded or not."""
    return sorted({*globals(), *__all__})
