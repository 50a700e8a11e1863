# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the offline layer: a made data set folder, and the real one where it is."""

from __future__ import annotations

import os
from pathlib import Path

from made_data import FIELDS, make_dataset
import pytest
import yaml

NYUV2 = Path(os.environ.get('EMU_NYUV2', Path(__file__).parents[3] / 'shared/data/nyuv2'))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return the root of a fresh made data set of six images."""
    return make_dataset(tmp_path / 'data')


@pytest.fixture(scope='session')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two members, trained for one epoch on a made data set."""
    from training import ensemble
    root = tmp_path_factory.mktemp('trained')
    data = make_dataset(root / 'data')
    path = root / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(data), 'output': str(root)}))
    assert ensemble.main(['--recipe', str(path), '--members', '2', '--no-progress']) == 0
    return root


@pytest.fixture
def nyuv2() -> Path:
    """Return the real data set folder, or skip, saying so."""
    if not (NYUV2 / 'dataset.yaml').exists():
        pytest.skip(f'NYUv2 is not at {NYUV2} (set EMU_NYUV2): tested on made data only')
    return NYUV2
