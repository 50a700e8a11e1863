# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer costs is of what a robot would run, and says so."""

from __future__ import annotations

import pytest
from small_models import saved  # noqa: F401, a fixture
from training.data.dataset_folder import DatasetFolder
from training.evaluation.inference_time import inference_time
from training.methods.ensemble import Ensemble


@pytest.mark.slow
@pytest.mark.parametrize(('count', 'words'), [(1, 'backend '), (2, 'PyTorch, 2 samples')])
def test_one_pass_is_the_predictors_and_several_are_pytorchs(
        synthetic, saved, count, words):  # noqa: F811
    ensemble = Ensemble([saved(f'm{i}', i) for i in range(count)], method='deterministic',
                        device='cpu')
    folder = DatasetFolder(synthetic)
    found = inference_time(ensemble, folder, folder.stems('val')[0], rounds=3)
    assert found['inference_by'].startswith(words)
    height, width = folder.image(folder.stems('val')[0]).shape[:2]
    assert f'{width}x{height}' in found['inference_by']
    times = found['inference_ms']
    assert times['images'] == 3 and times['median'] > 0 and times['std'] >= 0
