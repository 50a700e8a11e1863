# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Vision transformers as pyramids: timm's tokens, all sizes, exact folding, every backend."""

from __future__ import annotations

import copy

from core_bench import make_metadata
from emu_perception.backends import BACKENDS, is_installed
from emu_perception.checkpoint import load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.networks.encoder import PyramidEncoder, STRIDES
from emu_perception.networks.encoders import make_encoder
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.networks.vit_encoder import ViTEncoder
from emu_perception.networks.vit_positions import Remembered, resampled
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK, rounding
from test_folded_heads import as_near
import timm
import torch
from vit_cases import TINY, tiny_vit, VITS

OTHERS = [name for name, record in BACKENDS.items()
          if name != 'eager' and 'cpu' in record.devices]


@pytest.mark.parametrize('name', VITS)
@pytest.mark.parametrize('size', [(64, 96), (96, 64), (224, 224)])
def test_a_vit_is_a_pyramid_of_strides_4_8_16_32_at_any_aspect(name, size):
    encoder = tiny_vit(name).encoder
    with torch.no_grad():
        maps = encoder(torch.randn(2, 3, *size))
    assert [tuple(x.shape) for x in maps] == [
        (2, c, size[0] // s, size[1] // s) for c, s in zip(encoder.channels, STRIDES)]


@pytest.mark.parametrize('name', VITS)
@pytest.mark.parametrize('size', [(100, 130), (33, 47), (16, 16), (48, 64)])
def test_sides_that_are_no_multiples_of_32_are_one_clear_line(name, size):
    with pytest.raises(InputError, match=f'images are {size[0]}x{size[1]}.*multiples of 32'):
        tiny_vit(name).encoder(torch.zeros(1, 3, *size))


def test_a_distilled_deit_with_its_two_tokens_is_a_vit_too():
    network = tiny_vit('deit_tiny_distilled_patch16_224')
    with torch.no_grad():
        maps = network.encoder(torch.randn(1, 3, 64, 96))
    assert [x.shape[-2:] for x in maps] == [(64 // s, 96 // s) for s in STRIDES]


@pytest.mark.parametrize('name', VITS)
def test_the_tokens_are_those_of_timms_own_forward_intermediates(name):
    network = tiny_vit(name)
    grid = TINY['img_size'] // (14 if 'patch14' in name else 16)
    model = timm.create_model(name, **{**TINY, 'img_size': 16 * grid}, patch_size=16,
                              dynamic_img_size=True, num_classes=0, global_pool='').eval()
    model.load_state_dict(network.encoder.model.state_dict())
    images = torch.randn(2, 3, 64, 160)
    with torch.no_grad():
        _, expected = model.forward_intermediates(images, indices=4, norm=True)
        found = network.encoder.tokens(images)
    assert len(found) == len(expected) == 4
    # Behind a norm values are of order 1.
    assert all(torch.allclose(a, b, rtol=NETWORK, atol=NETWORK) for a, b in zip(found, expected))
    assert not torch.equal(found[0], found[1]), 'two levels are of the same block'


@pytest.mark.parametrize(('depth', 'indices'), [
    (12, (2, 5, 8, 11)), (24, (5, 11, 17, 23)), (6, (0, 2, 3, 5))])
def test_the_four_blocks_are_evenly_spaced_and_end_with_the_last(depth, indices):
    encoder = ViTEncoder('vit_small_patch16_dinov3', {**TINY, 'depth': depth})
    assert encoder.indices == indices


@pytest.mark.parametrize('name', VITS)
def test_a_shifted_picture_moves_tokens_but_class_and_registers_are_no_pixels(name):
    """A map that held one prefix token would be shifted by one, and wrap at the row's end."""
    encoder = tiny_vit(name).encoder
    images = torch.zeros(1, 3, 64, 96)
    images[:, :, 16:32, 32:48] = 3.0
    with torch.no_grad():
        change = (encoder.tokens(images)[0]
                  - encoder.tokens(torch.zeros_like(images))[0]).abs().sum(1)[0]
    assert divmod(int(change.argmax()), 6) == (1, 2)


@pytest.mark.parametrize('name', VITS)
def test_the_folded_heads_on_a_vit_are_the_published_ones(name):
    network = tiny_vit(name)
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        published, folded = network.forward_published(images), network.folded()(images)
        exact = copy.deepcopy(network).double().forward_published(images.double())
    for task in (SEGMENTATION, DEPTH):
        assert folded[task].shape[-2:] == (24, 32)
        assert as_near(exact[task], published[task], folded[task])


def test_rotary_positions_are_computed_once_a_grid_and_anew_in_training(monkeypatch):
    encoder = tiny_vit('vit_small_patch16_dinov3').encoder
    rope, asked = encoder.model.rope, []
    compute = rope.get_embed
    monkeypatch.setattr(rope, 'get_embed', lambda shape: asked.append(shape) or compute(shape))
    wide, high = torch.randn(1, 3, 32, 64), torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        encoder(wide)
    first = encoder(wide)[2]
    first.sum().backward()  # What inference has left behind can be trained on.
    encoder(high)
    assert asked == [[2, 4], [4, 2]]
    assert first.shape[-2:] == (2, 4)
    encoder.train()(wide)
    assert len(asked) == 3
    assert not any('rope' in part for part in encoder.state_dict())


@pytest.mark.parametrize('old', [(37, 37), (7, 7), (16, 9)])
@pytest.mark.parametrize('new', [(30, 40), (7, 7), (6, 8)])
def test_positions_are_resampled_as_timm_does_it(old, new):
    positions = torch.randn(1, 5 + old[0] * old[1], 8, dtype=torch.float64)
    found = resampled(positions, old, new, 5, Remembered())
    expected = timm.layers.resample_abs_pos_embed(positions.float(), new, old, 5)
    assert found.shape == expected.shape
    # Sums of 25 and 19 terms at most, whose weights sum to less than 2 each without their signs.
    bound = rounding(56, 4 * float(positions.abs().max()))
    assert float((found - expected).abs().max()) < bound


def test_a_copy_of_an_encoder_has_positions_of_its_own():
    encoder = tiny_vit('vit_small_patch16_dinov3').encoder
    other = copy.deepcopy(encoder)
    assert other._rope._rope is other.model.rope is not encoder.model.rope
    assert other._rope._remembered is other._remembered is not encoder._remembered


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', *VITS])
def test_a_checkpoint_with_a_vit_loads_strictly_and_asks_no_network(name, tmp_path, monkeypatch):
    def fetch(*_, **__):
        raise AssertionError('the hub was asked')
    huggingface_hub = pytest.importorskip('huggingface_hub')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fetch)
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', fetch)
    network = tiny_vit(name)
    save_checkpoint(tmp_path / 'a.safetensors', network, make_metadata(network))
    loaded, metadata = load_checkpoint(tmp_path / 'a.safetensors')
    assert metadata.architecture['encoder'] == name
    for (key, one), two in zip(network.state_dict().items(), loaded.state_dict().values(),
                               strict=True):
        assert torch.equal(one, two), key
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(network(images)[DEPTH], loaded(images)[DEPTH])


@pytest.mark.slow
@pytest.mark.parametrize('backend', OTHERS)
@pytest.mark.parametrize('name', VITS)
def test_every_backend_proves_itself_on_a_vit(name, backend):
    if not is_installed(backend):
        pytest.skip(f'NOT TESTED: {backend} is not installed (requirements/cpu.txt)')
    network = tiny_vit(name)
    metadata = make_metadata(network)
    one, two = (Predictor(network, metadata, device='cpu', backend=which)
                for which in ('eager', backend))
    assert (one.backend, two.backend) == ('eager', backend)
    # Two aspects: a graph that holds the first one's positions would not prove itself.
    for size in ((96, 128), (96, 192)):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        a, b = one(image, fx=100.0), two(image, fx=100.0)
        for field in ('depth', 'depth_variance', 'segmentation_entropy', 'confidence'):
            x, y = getattr(a, field), getattr(b, field)
            known = np.isfinite(x) & np.isfinite(y)
            assert np.allclose(x[known], y[known], rtol=NETWORK, atol=NETWORK), field
        assert (a.label != b.label).mean() < 1e-3


@pytest.mark.parametrize(('arguments', 'dropout', 'part'), [
    ({**TINY, 'patch_size': 14}, 0.0, "'patch_size' is not yours to set"),
    ({**TINY, 'depth': 3}, 0.0, 'has 3 blocks'),
    ({**TINY, 'no_such_argument': 1}, 0.0, 'no_such_argument'),
    ({'checkpoint_path': '/etc/passwd'}, 0.0, 'checkpoint_path'),
    (TINY, 0.1, 'proj_drop_rate')])
def test_a_vit_that_cannot_be_made_is_one_clear_line(arguments, dropout, part):
    with pytest.raises(InputError) as caught:
        make_encoder('vit_small_patch14_dinov2', arguments, dropout)
    assert part in str(caught.value) and '\n' not in str(caught.value)


def test_dinov3s_convnext_is_a_pyramid_as_it_is():
    network = MultitaskNetwork('convnext_tiny.dinov3_lvd1689m', num_classes=3, head_dim=8,
                               encoder_arguments={'depths': [1, 1, 1, 1], 'dims': [8, 8, 16, 16]})
    assert isinstance(network.encoder, PyramidEncoder)
    assert network.encoder.channels == (8, 8, 16, 16)
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 3, 64, 96))[DEPTH].shape == (1, 2, 16, 24)
