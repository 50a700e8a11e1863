# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the offline layer: a synthetic data set folder, and the real one where it is."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
from typing import Any

import pytest
from small_models import saved  # noqa: F401
from synthetic_data import FIELDS, make_dataset
import torch
from training.recipes.recipe import Recipe
import yaml

NYUV2 = Path(os.environ.get('EMU_NYUV2', Path(__file__).parents[3] / 'shared/data/nyuv2'))


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """Return the root of a fresh synthetic data set of six images."""
    return make_dataset(tmp_path / 'data')


@pytest.fixture(scope='session')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two members, trained for one epoch on a synthetic data set."""
    from training import ensemble
    root = tmp_path_factory.mktemp('trained')
    data = make_dataset(root / 'data')
    path = root / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(data), 'output': str(root)}))
    assert ensemble.main(['--recipe', str(path), '--members', '2', '--no-progress']) == 0
    return root


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe], None]:
    """Return what trains a recipe until its third epoch, which a power cut ends."""
    from training.fit import fit
    from training.methods.module import TrainingModule

    def run(recipe: Recipe) -> None:
        step = TrainingModule.training_step

        def cut(self: TrainingModule, batch: Any, batch_index: int) -> torch.Tensor:
            if self.current_epoch == 2:
                raise RuntimeError('power cut')
            return step(self, batch, batch_index)
        with monkeypatch.context() as patch:
            patch.setattr(TrainingModule, 'training_step', cut)
            with pytest.raises(RuntimeError, match='power cut'):
                fit(recipe, progress=False)
    return run


@pytest.fixture
def nyuv2() -> Path:
    """Return the real data set folder, or skip, saying so."""
    if not (NYUV2 / 'dataset.yaml').exists():
        pytest.skip(f'NYUv2 is not at {NYUV2} (set EMU_NYUV2): tested on synthetic data only')
    return NYUV2
