# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of the three-task network comes back as it was, or gives one clear line."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
import math
from pathlib import Path

from core_bench import CLASSES
from deeplab_bench import deeplab_document, small_deeplab, THINGS
from emu_perception.benchmarking import command as benchmark
from emu_perception.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from emu_perception.errors import CheckpointError
from emu_perception.networks.deeplab import MultitaskDeepLab, TASKS
import pytest
from test_checkpoint import document_of, one_line, rewrite
import torch


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Write a network of all three tasks."""
    network = small_deeplab()
    network.depth_noise.fill_(0.375)
    save_checkpoint(tmp_path / 'a.safetensors', network, deeplab_document(network))
    return tmp_path / 'a.safetensors'


@pytest.mark.parametrize('tasks', [TASKS, ('instance',), ('depth', 'instance'), ('depth',)])
@pytest.mark.parametrize('half', [False, True])
def test_network_noise_and_settings_come_back_as_they_were(tmp_path, tasks, half):
    network = small_deeplab(tasks=tasks, depth_factor=57.5, aspp_rates=(3, 6))
    if 'depth' in tasks:
        network.depth_noise.fill_(0.375)
    metadata = deeplab_document(network)
    path = tmp_path / 'a.safetensors'
    save_checkpoint(path, network, metadata, half=half)
    loaded, found = load_checkpoint(path)
    assert isinstance(loaded, MultitaskDeepLab) and not loaded.training
    assert found == metadata == read_metadata(path) and loaded.arguments == network.arguments
    assert found.architecture['family'] == 'deeplab' and not found.pixel_variance
    assert (document_of(path)['instances'] is not None) == (metadata.instances is not None)
    for name, tensor in network.state_dict().items():
        same = loaded.state_dict()[name]
        assert torch.allclose(same, tensor, rtol=1e-3 if half else 0, atol=1e-3 if half else 0)


@pytest.mark.parametrize('value', [
    5, 'x', [], [1], {}, {'things': 5}, {'things': [CLASSES]}, {'things': [-1]},
    {'things': [1, 1]}, {'things': ['car']}, {'things': [1], 'votes': 10**9},
    {'things': [1], 'votes': 'x'}, {'things': [1], 'min_samples': 0},
    {'things': [1], 'max_radius_px': None}, {'things': [1], 'max_radius_px': math.nan},
    {'things': [1], 'reach': 1e400}, {'things': [1], 'no_such_field': 1}, None], ids=str)
def test_damaged_settings_of_instances_are_one_clear_line(checkpoint, value):
    rewrite(checkpoint, lambda text: text.update(instances=value))
    for read in (read_metadata, load_checkpoint):
        one_line(checkpoint, "field 'instances'", read=read)


def test_settings_that_are_missing_or_out_of_place_are_said(tmp_path, checkpoint):
    rewrite(checkpoint, lambda text: text.pop('instances') and None)
    one_line(checkpoint, "field 'instances'", 'missing')
    network = small_deeplab(tasks=('depth', 'instance'))
    with pytest.raises(CheckpointError, match="'instances' is there"):
        save_checkpoint(tmp_path / 'b.safetensors', network,
                        replace(deeplab_document(network), instances=THINGS))


@pytest.mark.parametrize('change', [
    {'family': 'resnet'}, {'family': 5}, {'family': ['deeplab']}, {'family': None},
    {'family': 'all_mlp'}, {'aspp_rates': 'x'}, {'aspp_dim': None}, {'depth_factor': 0},
    {'depth_factor': 'x'}, {'output_stride': [8]}, {'encoder': 'mit_b0'}, {'head_dim': 16},
    {'tasks': ['depth', 'colour', 'segmentation', 'instance']}], ids=str)
def test_a_malformed_architecture_is_one_clear_line(checkpoint, change):
    rewrite(checkpoint, lambda text: text['architecture'].update(change))
    one_line(checkpoint, 'architecture')


def test_a_checkpoint_without_its_noise_is_refused(checkpoint):
    rewrite(checkpoint, tensors=lambda weights: weights.pop('depth_noise'))
    one_line(checkpoint, "lacks tensor 'depth_noise'")


@pytest.mark.skipif(find_spec('torch.nn.attention') is None,
                    reason='NOT TESTED: torch before 2.3 cannot count operations')
def test_the_benchmark_runs_it_and_says_what_it_is_not(checkpoint, capsys):
    arguments = ['--checkpoint', str(checkpoint), '--rounds', '1', '--no-memory', '--no-progress',
                 '--device', 'cpu']
    assert benchmark.main([*arguments, '--against', 'unfolded']) == 0
    assert 'unfolded' in capsys.readouterr().out
    assert benchmark.main([*arguments, '--against', 'reference']) == 1
    assert 'is no SegFormer' in capsys.readouterr().err
