# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders: MiT by timm's own interface, and any timm model as a pyramid of four strides."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.networks import mit_registration, mix_transformer  # noqa: F401
from emu_perception.networks.drop_path import DropPath
from emu_perception.networks.encoder import PyramidEncoder, STRIDES
from emu_perception.networks.multitask import MultitaskNetwork
import pytest
import timm
import torch

MILLIONS = {'mit_b0': 3.3, 'mit_b1': 13.2, 'mit_b2': 24.2, 'mit_b3': 44.1, 'mit_b4': 60.8,
            'mit_b5': 81.4}
TINY = {'embed_dims': (8, 8, 16, 16), 'depths': (1, 1, 1, 2), 'num_heads': (1, 2, 2, 2)}


@pytest.mark.slow
@pytest.mark.parametrize('name', MILLIONS)
def test_timm_makes_every_mit_with_its_strides_channels_and_parameters(name):
    model = timm.create_model(name, features_only=True).eval()
    channels = [32, 64, 160, 256] if name == 'mit_b0' else [64, 128, 320, 512]
    assert model.feature_info.channels() == channels
    assert model.feature_info.reduction() == list(STRIDES)
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(channels, STRIDES)]
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(
        MILLIONS[name], abs=0.05)


def test_mit_classifies_with_timms_other_interface():
    model = timm.create_model('mit_b0', num_classes=7).eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert model.default_cfg['mean'] == (0.485, 0.456, 0.406)


def test_mit_drop_path_rises_linearly_to_its_rate():
    model = timm.create_model('mit_b2', drop_path_rate=0.1)
    rates = [getattr(block.drop_path, 'drop_prob', 0.0)
             for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([0.1 * i / 15 for i in range(16)])


@pytest.mark.parametrize(('norm_eps', 'expected'), [(None, {1e-6, 1e-5}), (1e-5, {1e-5})])
def test_norm_eps_reaches_every_norm(norm_eps, expected):
    model = mix_transformer.MixTransformer(**TINY, norm_eps=norm_eps)
    found = {name: module.eps for name, module in model.named_modules()
             if isinstance(module, torch.nn.LayerNorm)}
    assert set(found.values()) == expected
    if norm_eps is None:
        # 1e-5 in patch embedding and spatial reduction only, as in the published code.
        assert {name for name, eps in found.items() if eps == 1e-5} == {
            name for name in found if 'patch_embed' in name or 'attn.norm' in name}


@pytest.mark.parametrize('name', ['mit_b0', 'tf_efficientnet_lite0', 'resnet18',
                                  'mobilenetv3_small_100', 'convnext_atto',
                                  'mambaout_femto'])  # the last one keeps channels last
def test_any_timm_encoder_is_a_pyramid_of_strides_4_8_16_32(name):
    encoder = PyramidEncoder(name).eval()
    with torch.no_grad():
        maps = encoder(torch.zeros(2, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, STRIDES)]


@pytest.mark.parametrize('name', ['mit_b0', 'tf_efficientnet_lite0', 'resnet18'])
def test_odd_image_sizes_give_maps_of_the_stride_rounded_up(name):
    encoder = PyramidEncoder(name).eval()
    with torch.no_grad():
        maps = encoder(torch.zeros(1, 3, 75, 101))
    assert [tuple(x.shape[-2:]) for x in maps] == [
        (-(-75 // s), -(-101 // s)) for s in STRIDES]


def test_encoder_arguments_reach_timm():
    encoder = PyramidEncoder('mit_b0', {'drop_path_rate': 0.0})
    assert not any(isinstance(module, (timm.layers.DropPath, DropPath))
                   for module in encoder.modules())


@pytest.mark.parametrize(('name', 'arguments', 'part'), [
    ('no_such_model', None, "'no_such_model' is not known"),
    ('vit_tiny_patch16_224', None, 'none at [4, 8, 32]'),
    ('mit_b0', {'no_such_argument': 1}, 'no_such_argument'),
    ('mit_b0', {'depths': 'x'}, 'depths'),
    ('hf-hub:timm/resnet18.a1_in1k', None, 'is not known'),
    ('local-dir:/tmp', None, 'is not known'),
    (5, None, "'5' is not known"),
    ('resnet18', {'checkpoint_path': '/etc/passwd'}, 'checkpoint_path'),
    ('resnet18', {'pretrained_cfg_overlay': {'file': 'x'}}, 'pretrained_cfg_overlay')])
def test_an_encoder_that_cannot_be_made_or_would_load_something_is_one_clear_line(
        name, arguments, part, monkeypatch):
    def load(*_, **__):
        raise AssertionError('timm was asked to load something')
    monkeypatch.setattr(timm.models._factory, 'load_checkpoint', load, raising=False)
    monkeypatch.setattr(timm.models._factory, 'load_model_config_from_hf', load, raising=False)
    with pytest.raises(InputError) as caught:
        PyramidEncoder(name, arguments)
    assert part in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(('arguments', 'part'), [
    ({'tasks': ()}, 'tasks'), ({'tasks': ('depth', 'depth')}, 'tasks'),
    ({'tasks': ('detection',)}, 'detection'), ({'num_classes': 0}, 'num_classes is 0'),
    ({'num_classes': 256}, 'num_classes is 256'), ({'head_dim': 0}, 'head_dim is 0'),
    ({'head_dim': 10**9}, 'head_dim is 1000000000'), ({'head_dropout': 1.0}, 'head_dropout'),
    ({'context': 'aspp'}, "context is 'aspp': give null or pyramid_pooling or transformer")])
def test_a_network_argument_out_of_range_is_named_with_its_value(arguments, part):
    with pytest.raises(InputError, match=part.replace('(', r'\(')):
        MultitaskNetwork('mit_b0', **arguments)
