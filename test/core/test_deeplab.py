# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The three-task network: shapes, units, its exact folded form, what it refuses."""

from __future__ import annotations

import math

from core_bench import CLASSES
from deeplab_bench import SIZE, SMALL, small_deeplab
from emu_perception.errors import InputError
from emu_perception.networks.deeplab import FAR_M, MultitaskDeepLab, TASKS
import pytest
from rounding import EXACT
import torch


# -- the network ----------------------------------------------------------------------------------
@pytest.mark.parametrize('tasks', [
    ('segmentation',), ('depth',), ('instance',), ('depth', 'instance'), TASKS])
@pytest.mark.parametrize('stride', [8, 16])
def test_every_subset_of_tasks_has_its_raw_maps_at_the_output_stride(tasks, stride):
    network = small_deeplab(tasks=tasks, output_stride=stride)
    raw = network(torch.randn(2, 3, *SIZE))
    channels = {'segmentation': CLASSES, 'depth': 1, 'instance': 2}
    assert {task: tuple(x.shape) for task, x in raw.items()} == {
        task: (2, channels[task], SIZE[0] // stride, SIZE[1] // stride) for task in tasks}
    assert ('depth_noise' in network.state_dict()) == ('depth' in tasks)


@pytest.mark.parametrize('encoder', ['resnet18', 'tf_efficientnet_lite0', 'mobilenetv3_small_050'])
def test_encoders_of_several_kinds_are_dilated_to_a_stride_of_8(encoder):
    network = small_deeplab(encoder=encoder)
    assert network.encoder(torch.randn(1, 3, *SIZE)).shape[-2:] == (8, 12)
    assert any(name.startswith('encoder.') for name, _ in network.named_parameters())


@pytest.mark.parametrize('encoder', [
    'mit_b0', 'hrnet_w18', 'vgg11', 'swin_tiny_patch4_window7_224'])
def test_an_encoder_that_cannot_be_dilated_is_refused_in_one_line(encoder):
    with pytest.raises(InputError, match=encoder) as caught:
        MultitaskDeepLab(**{**SMALL, 'encoder': encoder})
    assert len(str(caught.value).splitlines()) == 1


def test_training_runs_with_a_batch_of_one_and_reaches_every_parameter():
    network = small_deeplab().train()
    sum(x.square().mean() for x in network(torch.randn(1, 3, *SIZE)).values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters()
               if p.ndim > 1)


@pytest.mark.parametrize('change', [
    {'tasks': ()}, {'tasks': ('colour',)}, {'tasks': ('depth', 'depth')}, {'num_classes': 0},
    {'num_classes': 256}, {'output_stride': 4}, {'output_stride': 8.0}, {'aspp_rates': ()},
    {'aspp_rates': 5}, {'aspp_rates': (0,)}, {'aspp_rates': ('x',)}, {'aspp_dim': 0},
    {'aspp_dim': 10**9}, {'decoder_dim': 1.5}, {'dropout': 1.0}, {'dropout': 'x'},
    {'depth_factor': 0.0}, {'depth_factor': -1.0}, {'depth_factor': math.inf},
    {'depth_factor': math.nan}, {'encoder': 'no_such'},
    {'encoder_arguments': {'pretrained': True}}, {'encoder_arguments': {'output_stride': 32}}],
    ids=str)
def test_an_argument_out_of_range_is_named(change):
    with pytest.raises(InputError) as caught:
        MultitaskDeepLab(**{**SMALL, **change})
    name = next(iter(change))
    assert name in str(caught.value) or name == 'encoder_arguments'


def test_folding_gives_the_same_maps_and_leaves_the_network_alone():
    network = small_deeplab()
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = network.folded()
    assert network.training and not folded.training
    assert not any(p.requires_grad for p in folded.parameters())
    names = [name for name, part in folded.named_modules()
             if isinstance(part, torch.nn.BatchNorm2d)]
    assert names and all(name.startswith('encoder.') for name in names), 'a norm was not folded'
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network.double().eval()
    images = torch.randn(1, 3, *SIZE, dtype=torch.float64)
    with torch.no_grad():
        expected, found = network.forward_published(images), network.folded()(images)
    for task in TASKS:
        scale = expected[task].abs().max()
        assert (found[task] - expected[task]).abs().max() < EXACT * scale, task


# -- depth ----------------------------------------------------------------------------------------
def test_depth_is_the_factor_over_the_raw_map_and_its_variance_follows_by_the_delta_method():
    network = small_deeplab(depth_factor=60.0)
    network.depth_noise.fill_(0.25)
    raw = torch.tensor([30.0, 12.0, 6.0]).view(1, 1, 1, 3)
    depth, variance = network.depth_moments(raw, 80.0)
    assert depth.flatten().tolist() == pytest.approx([2.0, 5.0, 10.0])
    # The derivative by differences: sigma_m = |d(60 / raw) / d raw| * sigma_raw.
    step = 1e-3
    slope = (60.0 / (raw.double() - step) - 60.0 / (raw.double() + step)) / (2 * step)
    assert torch.allclose(variance.flatten().double(), slope.flatten() ** 2 * 0.25, rtol=1e-4)


@pytest.mark.parametrize('depth_max', [80.0, math.inf])
def test_the_sky_is_infinitely_far_with_the_variance_of_the_end_of_the_range(depth_max):
    network = small_deeplab()
    network.depth_noise.fill_(1e-4)
    raw = torch.tensor([0.0, -3.0, 1e-9, 1 / 80.0]).view(1, 1, 2, 2)
    depth, variance = network.depth_moments(raw, depth_max)
    assert depth[0, 0].tolist() == [math.inf, math.inf]
    end = 80.0 if math.isfinite(depth_max) else FAR_M
    assert variance.flatten().tolist()[:3] == pytest.approx([end ** 4 * 1e-4] * 3)
    assert variance[0, 1, 1] == pytest.approx(80.0 ** 4 * 1e-4, rel=1e-4)


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_a_raw_map_that_is_not_finite_is_unknown_and_no_certainty(bad):
    depth, variance = small_deeplab().depth_moments(torch.full((1, 1, 1, 1), bad), 80.0)
    assert depth.isnan().all() and variance.isnan().all()


def test_half_precision_maps_are_reduced_in_float32():
    raw = torch.full((1, 1, 1, 1), 5.0).half()
    depth, variance = small_deeplab(depth_factor=500.0).depth_moments(raw)
    assert depth.dtype == variance.dtype == torch.float32
    assert variance.item() == pytest.approx(100.0 ** 4 / 500.0 ** 2)


@pytest.mark.parametrize('factor', [1.0, 250.0])
def test_training_starts_at_the_datas_mean_depth_and_variance(factor):
    network = small_deeplab(depth_factor=factor)
    network.initialize_depth(8.0, 4.0)
    raw = network(torch.randn(1, 3, *SIZE))['depth']
    depth, variance = network.depth_moments(raw, 100.0)
    assert (depth - 8.0).abs().max() < 2.0 and (raw > 0).all()
    assert (variance / (depth / 8.0) ** 4).mean().item() == pytest.approx(4.0, rel=1e-3)
    network.initialize_depth(8.0, 0.0)
    assert network.depth_noise > 0
    # Without the task there is nothing to do, and no error.
    small_deeplab(tasks=('segmentation',)).initialize_depth(8.0, 4.0)


def test_a_noise_that_is_no_variance_is_refused_before_anything_runs():
    network = small_deeplab()
    for bad in (0.0, -1.0, math.nan):
        network.depth_noise.fill_(bad)
        with pytest.raises(InputError, match='depth_noise'):
            network.folded()
