# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Published weights of ViTs: the original layouts, other patches, and under which licence."""

from __future__ import annotations

from pathlib import Path

from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.networks.pretrained import initialize
import pytest
from rounding import NETWORK
from safetensors.torch import save_file
import timm
import torch
from torch.nn import functional as F
from vit_cases import TINY, tiny_vit, VITS

Weights = dict[str, torch.Tensor]


def original_dinov2(weights: Weights) -> Weights:
    """Return timm's weights of DINOv2 as its repository names them."""
    found = {**weights, 'mask_token': torch.zeros(1, 32)}
    if 'reg_token' in found:  # Whose class token has its position with the others.
        found['register_tokens'] = found.pop('reg_token')
        position = torch.randn(1, 1, 32)
        found['cls_token'] = found['cls_token'] - position
        found['pos_embed'] = torch.cat([position, found['pos_embed']], dim=1)
    return found


def original_dinov3(weights: Weights) -> Weights:
    """Return timm's weights of DINOv3 as its repository names them."""
    found = {name.replace('gamma_', 'ls').replace('reg_token', 'storage_tokens'): tensor
             for name, tensor in weights.items()}
    found = {f'{name}.gamma' if name.endswith(('.ls1', '.ls2')) else name: tensor
             for name, tensor in found.items()}
    for block in range(TINY['depth']):
        found[f'blocks.{block}.attn.qkv.bias'] = torch.zeros(96)
        found[f'blocks.{block}.attn.qkv.bias_mask'] = torch.ones(96)
    return {**found, 'mask_token': torch.zeros(1, 32), 'rope_embed.periods': torch.ones(4)}


def weights_of(network: MultitaskNetwork) -> Weights:
    return {name: tensor.clone() for name, tensor in network.encoder.model.state_dict().items()}


def published(name: str) -> tuple[MultitaskNetwork, Weights]:
    """Return a network and the weights from which another is to become it, in both layouts."""
    network = tiny_vit(name)
    original = original_dinov3 if 'dinov3' in name else original_dinov2
    return network, original(weights_of(network))


@pytest.mark.parametrize('layout', ['timm', 'original'])
@pytest.mark.parametrize('name', VITS)
def test_a_file_in_timms_layout_or_the_original_fills_the_encoder(name, layout, tmp_path):
    network, original = published(name)
    path = tmp_path / 'weights.safetensors'
    save_file({key: tensor.contiguous() for key, tensor in
               (original if layout == 'original' else weights_of(network)).items()}, path)
    torch.manual_seed(1)
    fresh = tiny_vit(name)
    licence = initialize(fresh, str(path))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for one, two in zip(network.encoder.tokens(images), fresh.encoder.tokens(images)):
            assert torch.allclose(one, two, rtol=NETWORK, atol=NETWORK)
    assert ('DINOv3 License' if 'dinov3' in name else 'Apache-2.0') in licence
    assert str(path) in licence


def test_patches_of_14_give_enlarged_what_they_gave_at_their_own_size(tmp_path):
    model = timm.create_model('vit_small_patch14_dinov2', **TINY, num_classes=0)
    save_file(model.state_dict(), tmp_path / 'a.safetensors')
    network = MultitaskNetwork('vit_small_patch14_dinov2', num_classes=3, head_dim=8,
                               encoder_arguments=TINY)
    initialize(network, str(tmp_path / 'a.safetensors'))
    patches = torch.randn(20, 3, 14, 14)
    enlarged = F.interpolate(patches, size=(16, 16), mode='bicubic', antialias=True)
    with torch.no_grad():
        own, ours = model.patch_embed.proj(patches), network.encoder.model.patch_embed.proj(
            enlarged)
    assert torch.allclose(own, ours, rtol=NETWORK, atol=NETWORK)
    # The grid of the positions is its own, not one of 112 // 16 patches.
    assert torch.equal(network.encoder.model.pos_embed, model.pos_embed)


def test_dinov3s_original_weights_with_biases_ask_for_the_encoder_that_has_them(tmp_path):
    _, original = published('vit_small_patch16_dinov3')
    original['blocks.2.attn.qkv.bias'] = torch.ones(96)
    save_file(original, tmp_path / 'a.safetensors')
    with pytest.raises(InputError, match='_qkvb') as caught:
        initialize(tiny_vit('vit_small_patch16_dinov3'), str(tmp_path / 'a.safetensors'))
    assert '\n' not in str(caught.value)
    fresh = tiny_vit('vit_small_patch16_dinov3_qkvb')
    initialize(fresh, str(tmp_path / 'a.safetensors'))
    assert fresh.encoder.model.blocks[2].attn.q_bias.eq(1.0).all()


def test_the_original_convnext_of_dinov3_fills_a_convnext(tmp_path):
    def tiny() -> MultitaskNetwork:
        return MultitaskNetwork(
            'convnext_tiny.dinov3_lvd1689m', num_classes=3, head_dim=8,
            encoder_arguments={'depths': [1, 1, 1, 1], 'dims': [8, 8, 16, 16]})
    network = tiny()
    original = {}
    for name, tensor in network.encoder.model.state_dict().items():
        name = name.replace('stages_', 'stages.').replace('stem_', 'downsample_layers.0.')
        name = name.replace('conv_dw', 'dwconv').replace('mlp.fc', 'pwconv')
        parts = name.split('.')
        if 'downsample' in parts:
            name = f'downsample_layers.{parts[1]}.{".".join(parts[3:])}'
        original[name.replace('.blocks.', '.')] = tensor
    save_file(original, tmp_path / 'a.safetensors')
    torch.manual_seed(1)
    fresh = tiny()
    assert 'DINOv3 License' in initialize(fresh, str(tmp_path / 'a.safetensors'))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert all(torch.equal(one, two) for one, two in zip(
            network.eval().encoder(images), fresh.eval().encoder(images)))


@pytest.mark.parametrize(('name', 'repository', 'licence'), [
    ('vit_small_patch14_dinov2', 'timm/vit_small_patch14_dinov2.lvd142m', 'Apache-2.0'),
    ('vit_small_patch16_dinov3', 'timm/vit_small_patch16_dinov3.lvd1689m', 'DINOv3 License'),
    ('vit_tiny_patch16_dinov3_qkvb', 'timm/vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m',
     'non-commercial')])
def test_weights_by_name_come_from_timms_repository_with_their_licence(
        name, repository, licence, tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip('huggingface_hub')
    network = tiny_vit(name)
    save_file(weights_of(network), tmp_path / 'model.safetensors')
    asked = []

    def download(*arguments: str) -> str:
        asked.append(arguments)
        return str(tmp_path / 'model.safetensors')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    said = initialize(tiny_vit(name), 'hub')
    assert asked == [(repository, 'model.safetensors')]
    assert licence in said and repository in said


@pytest.mark.parametrize(('tensors', 'part'), [
    ({'layer.weight': torch.zeros(2)}, 'lack'),
    ({'patch_embed.proj.weight': torch.zeros(5)}, 'cannot convert'),
    ({'blocks.0.norm1.weight': torch.zeros(5)}, 'lack'),
    ({'embeddings.cls_token': torch.zeros(1, 1, 32)}, "'embeddings.cls_token' first")])
def test_a_file_of_other_weights_is_one_clear_line(tensors, part, tmp_path):
    path: Path = tmp_path / 'a.safetensors'
    save_file(tensors, path)
    with pytest.raises(InputError) as caught:
        initialize(tiny_vit('vit_small_patch14_dinov2'), str(path))
    assert part in str(caught.value) and '\n' not in str(caught.value)
    assert str(path) in str(caught.value)


def test_weights_of_a_deeper_vit_or_that_are_no_numbers_are_refused(tmp_path):
    name = 'vit_small_patch14_reg4_dinov2'
    good = weights_of(tiny_vit(name))
    deeper = {**good, **{key.replace('blocks.3.', 'blocks.4.'): tensor.clone()
                         for key, tensor in good.items() if key.startswith('blocks.3.')}}
    spoiled = {**good, 'blocks.1.norm1.weight': torch.full((32,), float('nan'))}
    for tensors, part in ((deeper, 'has 4 blocks'), (spoiled, "'blocks.1.norm1.weight' has")):
        save_file(tensors, tmp_path / 'a.safetensors')
        with pytest.raises(InputError, match=part) as caught:
            initialize(tiny_vit(name), str(tmp_path / 'a.safetensors'))
        assert '\n' not in str(caught.value) and 'a.safetensors' in str(caught.value)
