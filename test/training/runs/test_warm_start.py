# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network that starts from a checkpoint: the metres of its own camera, or another's."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.visualization import default_palette
import pytest
from small_models import CLASSES, small_network
import torch
from training.data.dataset_folder import DatasetFolder
from training.recipes.recipe import load_recipe
from training.runs.warm_start import warm_start


@pytest.mark.parametrize('camera, size, factor', [
    # Views of 160x224 are letterboxed: 4:3 images fill but 213 of their 224 columns.
    ('its own', (160, 224), 1.0), ('half the focal length', (160, 224), 2.0)])
def test_depths_follow_the_focal_length_and_stay_on_their_own_camera_and_size(
        synthetic, tmp_path, camera, size, factor):
    folder, network = DatasetFolder(synthetic), small_network(1)
    own = folder.intrinsics
    made_for = own if camera == 'its own' else replace(own, fx=own.fx / 2, fy=own.fy / 2)
    path = tmp_path / 'start.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=size, intrinsics=made_for,
        classes=CLASSES, palette=default_palette(len(CLASSES))))
    recipe = load_recipe('nyuv2_lite0', [f'data={synthetic}', f'input_size={list(size)}'])
    started = small_network(2)
    warm_start(started, str(path), recipe, folder)
    given, got = (one.depth_layer.get_parameter('weight') for one in (network, started))
    assert torch.allclose(got[0], given[0] * factor, rtol=1e-6) and torch.equal(got[1], given[1])


@pytest.mark.parametrize(('start', 'own'), [
    ('linear', 'log'), ('log', 'linear'), ('log', 'log'), ('median', 'log')])
def test_only_the_last_depth_layer_starts_anew_where_it_says_another_thing(
        synthetic, tmp_path, caplog, start, own):
    folder, network = DatasetFolder(synthetic), small_network(1, depth_output=start)
    path = tmp_path / 'start.safetensors'
    half = replace(folder.intrinsics, fx=folder.intrinsics.fx / 2, fy=folder.intrinsics.fy / 2)
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(160, 224), intrinsics=half,
        classes=CLASSES, palette=default_palette(len(CLASSES))))
    recipe = load_recipe('nyuv2_lite0', [f'data={synthetic}', 'input_size=[160,224]'])
    started = small_network(2, depth_output=own)
    before = {name: part.clone() for name, part in started.state_dict().items()}
    with caplog.at_level('INFO', 'training'):
        warm_start(started, str(path), recipe, folder)
    layer = 'heads.depth.classifier.'
    for name, part in started.state_dict().items():
        if not name.startswith(layer):
            assert torch.equal(part, network.state_dict()[name]), name
        elif start != own:
            assert torch.equal(part, before[name]), name
    assert (f"depth_output is '{start}', this one's '{own}'" in caplog.text) == (start != own)
    if start == own:  # Metres of twice the focal length: twice as many, which is a summand.
        given, got = (one.depth_layer.get_parameter('bias') for one in (network, started))
        assert torch.allclose(got[0] - given[0], torch.tensor(2.0).log(), rtol=1e-5)
        assert torch.equal(got[1], given[1])


def test_a_density_of_the_same_channels_keeps_the_last_depth_layer(synthetic, tmp_path, caplog):
    network, started = (small_network(i, depth_output=form)
                        for i, form in enumerate(('linear', 'median')))
    path = tmp_path / 'start.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(160, 224),
        intrinsics=DatasetFolder(synthetic).intrinsics, classes=CLASSES,
        palette=default_palette(len(CLASSES))))
    recipe = load_recipe('nyuv2_lite0', [f'data={synthetic}', 'input_size=[160,224]'])
    with caplog.at_level('INFO', 'training'):
        warm_start(started, str(path), recipe, DatasetFolder(synthetic))
    assert 'depth_output' not in caplog.text
    assert torch.equal(started.depth_layer.weight, network.depth_layer.weight)
