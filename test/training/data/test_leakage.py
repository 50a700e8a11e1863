# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a network, or what it comes from, has learned from does not choose or measure it."""

from __future__ import annotations

from emu_perception.checkpoint import read_metadata
from emu_perception.errors import InputError
import pytest
from training import calibrate, evaluate
from training.data.dataset_folder import DatasetFolder
from training.data.leakage import check_leakage, check_unseen, trained_on
from training.recipes.options import RecipeError
from training.runs.ancestry import ancestors_of


@pytest.fixture
def descendant(saved):
    """Return a checkpoint that goes on, on a robot's own data, from one that has seen val."""
    first = read_metadata(saved('first', provenance={'data_set': 'synthetic',
                                                     'split': 'train+val'}))
    second = read_metadata(saved('second', provenance={
        'data_set': 'own', 'split': 'train', 'ancestors': ancestors_of([('start', first)])}))
    return saved('third', provenance={'data_set': 'other', 'split': 'train',
                                      'ancestors': ancestors_of([('teacher', second)])})


def test_what_an_ancestor_has_seen_does_not_measure(descendant, synthetic):
    metadata, folder = read_metadata(descendant), DatasetFolder(synthetic)
    assert trained_on(metadata, folder, 'val') and trained_on(metadata, folder, 'train')
    assert not trained_on(metadata, folder, 'test')
    with pytest.raises(InputError, match="was trained on 'val' of synthetic too"):
        check_unseen(descendant, metadata, folder, 'val')
    with pytest.raises(RecipeError, match='was trained on val of synthetic too'):
        check_leakage('train', folder, metadata, 'network.initial_weights', str(descendant))
    folder.name = 'elsewhere'
    assert not trained_on(metadata, folder, 'val')


def test_commands_say_so(descendant, synthetic, tmp_path, caplog, capsys):
    """Its figures were called unseen, and its constants could be fitted to what it knows."""
    common = ['--checkpoint', str(descendant), '--data', str(synthetic), '--device', 'cpu',
              '--no-progress']
    assert evaluate.main(common) == 0
    assert f'{descendant}: was trained on these images' in caplog.text
    assert calibrate.main([*common, '--out', str(tmp_path / 'out.safetensors')]) == 1
    assert "was trained on 'val' of synthetic too" in capsys.readouterr().err
