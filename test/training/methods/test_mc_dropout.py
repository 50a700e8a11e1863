# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo dropout: what is dropped, and that sampling leaves everything as it was."""

from __future__ import annotations

from emu_perception.networks.drop_path import DropPath
import pytest
from small_models import small_network, small_recipe
import torch
from torch import nn
from training.methods.mc_dropout import MCDropout, samples
from training.recipes.sections import MCDropoutOptions


def arguments(encoder: str) -> dict:
    recipe = small_recipe(method='mc_dropout', mc_dropout={'rate': 0.3}, network={
        'encoder': encoder, 'head_dim': 16, 'encoder_arguments': {'drop_path_rate': 0.2}})
    return MCDropout.network_arguments(recipe, 3)


def test_mit_gets_the_rate_in_every_block_and_not_on_attention_weights():
    network = small_network(**arguments('mit_b0'))
    rates = {module.p for module in network.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.3} and network.head('depth').dropout.p == 0.3
    assert all(module.attn.dropout == 0.0 for module in network.modules()
               if hasattr(module, 'attn'))


def test_a_vision_transformer_gets_the_rate_in_every_block():
    found = arguments('vit_small_patch16_dinov3')
    found['encoder_arguments'].update(depth=4, embed_dim=32, num_heads=2)
    network = small_network(**found)
    for block in network.encoder.model.blocks:
        assert {module.p for module in block.modules() if isinstance(module, nn.Dropout)
                } == {0.0, 0.3}  # Not on attention weights.
    assert network.head('depth').dropout.p == 0.3
    one, two = samples(network, torch.randn(1, 3, 64, 96), count=2)
    assert not torch.equal(one['depth'], two['depth'])


def test_a_convolutional_encoder_drops_in_the_encoder_not_only_in_the_heads():
    network = small_network(**arguments('resnet10t'))
    x = torch.randn(1, 3, 64, 96)
    maps = []
    network.encoder.register_forward_hook(lambda module, args, out: maps.append(out))
    list(samples(network, x, count=2))
    for one, two in zip(*maps):
        assert not torch.equal(one, two), 'a stage of the encoder was not sampled'


def test_samples_differ_repeat_with_the_seed_and_leave_the_random_numbers_alone():
    network = small_network(**arguments('resnet10t'))
    x = torch.randn(1, 3, 64, 96)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = [raw['depth'] for raw in samples(network, x, seed=3, count=3)]
    assert torch.equal(torch.rand(1), expected)
    again = [raw['depth'] for raw in samples(network, x, seed=3, count=3)]
    other = next(samples(network, x, seed=4, count=1))['depth']
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], other)


def test_drop_path_is_off_and_batch_norm_is_not_moved_while_sampling():
    network = small_network(**arguments('mit_b0')).train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    seen = []
    for module in network.modules():
        if isinstance(module, (DropPath, nn.modules.batchnorm._BatchNorm)):
            module.register_forward_hook(lambda module, *_: seen.append(module.training))
    list(samples(network, torch.randn(2, 3, 64, 96), count=2))
    assert seen and not any(seen)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert not any(module.training for module in network.modules()), 'left in training mode'


def test_a_network_without_dropout_is_refused_rather_than_sampled_ten_times_alike():
    with pytest.raises(ValueError, match='no dropout'):
        list(samples(small_network(head_dropout=0.0), torch.randn(1, 3, 64, 96)))
    assert MCDropoutOptions().samples == 10
