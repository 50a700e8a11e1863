# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ensembles of every kind in both layouts, for training.benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..methods.ensemble import Ensemble
from ..methods.optimization import autocast
from ..recipes.recipe import Recipe
from .published import published
from .synthetic_models import synthetic_checkpoint, synthetic_members

DROPPING = ('mc_dropout', 'head_dropout')
ENSEMBLES = ('ensemble', 'sub_ensemble', *DROPPING)


def ensembles(what: str, recipe: Recipe, classes: int, samples: int, device: torch.device,
              folder: Path) -> tuple[dict[str, Callable[[], Any]], dict[str, Ensemble]]:
    """Return a function for 'one' network, 'ours' and the 'published' layout of T samples."""
    one = Ensemble([synthetic_checkpoint(folder / 'one.safetensors', recipe, 'baseline', classes)],
                   device=device)
    if what == 'ensemble':
        paths = synthetic_members(folder, recipe, classes, samples)
    else:
        # Dropout in the heads alone is a network of the baseline, sampled.
        method = 'baseline' if what == 'head_dropout' else what
        paths = [synthetic_checkpoint(folder / f'{what}.safetensors', recipe, method, classes)]
    method = 'mc_dropout' if what == 'head_dropout' else 'auto'
    ours = Ensemble(paths, method=method, samples=samples, device=device)
    image = np.random.default_rng(0).integers(0, 256, (*recipe.input_size, 3), np.uint8)

    def call(ensemble: Ensemble) -> Callable[[], Any]:
        def answer() -> list[np.ndarray]:
            with autocast(recipe.precision, device):
                found = ensemble.predict(image)
            return [values.float().cpu().numpy() for values in (
                found.probabilities, found.depth, found.depth_variance) if values is not None]
        return answer
    forms = {'one': one, 'ours': ours, 'published': published(ours)}
    return {name: call(form) for name, form in forms.items()}, forms
