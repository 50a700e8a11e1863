# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint that gets epistemic outputs says all else as it did, and keeps what was fitted."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    load_checkpoint,
    save_checkpoint,
)
from emu_perception.predictor import Predictor
from emu_perception.visualization import default_palette
import numpy as np
import pytest
from small_models import CLASSES, small_network
from synthetic_data import FIELDS, members
import torch
from training.data.dataset_folder import DatasetFolder
from training.data.leakage import trained_on
from training.fit import fit
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.reporting.model_card import model_card
from training.runs.added_outputs import with_added_outputs
import yaml

FITTED = Calibration(temperature=1.25, variance_scale=2.5, scores={
    'segmentation_entropy': FittedThreshold(0.75, 95.0, {'data_set': 'synthetic'})})


@pytest.fixture(scope='module')
def added(trained, tmp_path_factory):
    """Return a calibrated checkpoint, and it with the outputs that two members teach."""
    root = tmp_path_factory.mktemp('added')
    start = root / 'start.safetensors'
    network, metadata = load_checkpoint(members(trained)[0])
    save_checkpoint(start, network, replace(metadata, name='start', calibration=FITTED,
                                            metrics={'depth': {'rmse': 0.5}}))
    return start, fit(recipe(trained, start), progress=False)


def recipe(trained, start, *overrides):
    path = start.with_name('recipe.yaml')
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(trained / 'data'),
                                    'output': str(start.parent), 'name': 'more'}))
    return load_recipe(path, [
        'method=emuformer', f'emuformer.teacher=[{", ".join(map(str, members(trained)))}]',
        'epochs=2', 'emuformer.epistemic=true', f'network.initial_weights={start}', 'freeze_bn=1',
        'finetune.heads=epistemic', 'ema_decay=0.9', 'optimizer.weight_decay=0.1', *overrides])


@pytest.mark.slow
def test_all_that_was_stays_bit_for_bit_and_what_was_fitted_holds(trained, added):
    start, more = added
    (one, before), (two, after) = load_checkpoint(start), load_checkpoint(more)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
    new = two.state_dict().keys() - one.state_dict().keys()
    assert new and all('.epistemic.' in name for name in new)
    assert two.head('depth').epistemic.bias.item() != -3.0, 'nothing was learned'
    # What is validated is the same in each epoch: no score can choose an earlier one.
    last = load_checkpoint(more.with_name('last.safetensors'))[0].state_dict()
    assert all(torch.equal(last[name], two.state_dict()[name]) for name in new)
    assert after.provenance['epistemic']['epoch'] == 2
    assert after.calibration == before.calibration == FITTED
    assert after.metrics == before.metrics and after.name == 'more'
    said = after.provenance['epistemic']
    assert said['start'] == 'start' and len(said['teacher']) == 2 and said['epochs_run'] == 2
    assert said['data_set'] == 'synthetic' and said['split'] == 'train'
    assert {one['role'] for one in after.provenance['ancestors']} == {'teacher', 'start'}
    assert 'added to `start`, of which nothing else changed; taught by 2' in model_card(
        after, more)
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    answers = [Predictor.load(path, 'cpu', backend='eager')(image) for path in added]
    for name, values in answers[0].maps.items():
        assert np.array_equal(values, answers[1].maps[name], equal_nan=True), name
    assert answers[0].scores == answers[1].scores and answers[0].mutual_information is None
    assert answers[1].mutual_information.min() >= 0


@pytest.mark.slow
@pytest.mark.parametrize('override, word', [
    ('input_size=[192, 256]', 'made for'), ('network.head_dim=24', 'is another'),
    ('network.context=pyramid_pooling', 'is another')])
def test_what_would_change_it_is_said_before_anything_runs(trained, added, override, word):
    with pytest.raises(RecipeError, match=f"'finetune.heads' is 'epistemic'.*{word}"):
        fit(recipe(trained, added[0], 'name=other', override), progress=False)


@pytest.mark.slow
def test_a_run_goes_on_with_the_checkpoint_that_it_began_with_or_says_so(trained, added):
    start, before = added[0], added[0].read_bytes()
    network, metadata = load_checkpoint(start)
    network.depth_layer.get_parameter('bias').data += 0.5
    save_checkpoint(start, network, metadata)
    try:
        with pytest.raises(RecipeError, match="'finetune.heads'.*depth.*1 of .*began with"):
            fit(recipe(trained, start, 'epochs=3'), resume=True, progress=False)
    finally:
        start.write_bytes(before)


def test_what_the_outputs_learned_from_is_said_and_cannot_measure_them(tmp_path):
    start, network = tmp_path / 'start.safetensors', small_network(1)
    own = CheckpointMetadata(
        architecture=network.arguments, input_size=(96, 128), classes=CLASSES, name='start',
        palette=default_palette(len(CLASSES)),
        provenance={'data_set': 'rooms', 'split': 'train', 'ancestors': []})
    save_checkpoint(start, network, own)
    other = {'data_set': 'halls', 'split': 'train+val', 'data_licence': 'not for sale',
             'ancestors': [{'role': 'start', 'name': 'start', 'data_set': 'rooms'}]}
    (tmp_path / 'dataset.yaml').write_text('name: halls')
    for provenance, roles, seen in ((other, ['added outputs', 'start'], True),
                                    ({**other, 'data_set': 'rooms'}, ['start'], False)):
        more = with_added_outputs(small_network(2), str(start), replace(
            own, name='more', provenance=provenance))
        assert [one['role'] for one in more.provenance['ancestors']] == roles
        assert trained_on(more, DatasetFolder(tmp_path), 'val') is seen
        assert not trained_on(own, DatasetFolder(tmp_path), 'val')
    (tmp_path / 'dataset.yaml').write_text('name: rooms')
    assert trained_on(more, DatasetFolder(tmp_path), 'val'), 'the outputs have seen val'
    assert not trained_on(own, DatasetFolder(tmp_path), 'val')


def test_early_stopping_would_end_it_at_once_and_is_refused(trained, tmp_path):
    with pytest.raises(RecipeError, match="'early_stopping' is 3, but finetune.heads=epistemic"):
        recipe(trained, tmp_path / 'start.safetensors', 'early_stopping=3')


@pytest.mark.parametrize('override', [
    'freeze_bn=0.5', 'emuformer.epistemic=false', 'method=baseline',
    'network.initial_weights=package', 'finetune.encoder=lora'])
def test_a_recipe_that_cannot_keep_it_is_refused(trained, tmp_path, override):
    with pytest.raises(RecipeError, match="'finetune.heads' is 'epistemic': outputs are added"):
        recipe(trained, tmp_path / 'start.safetensors', override)
