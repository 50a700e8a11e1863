# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""With the same weights, encoder and segmentation head equal transformers' SegFormer."""

from __future__ import annotations

import copy
from pathlib import Path
import re

from core_bench import randomize_norms
from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.networks.pretrained import (
    initialize,
    mit_encoder_weights,
    read_weights,
    segformer_head_weights,
)
import pytest
from rounding import EXACT
import torch

transformers = pytest.importorskip('transformers')

CLASSES = 7
LICENCE = 'NVIDIA Source Code License'
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope='module')
def reference() -> torch.nn.Module:
    """Return transformers' SegFormer-B0 with random weights."""
    torch.manual_seed(1)
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(
        hidden_sizes=[32, 64, 160, 256], depths=[2, 2, 2, 2], decoder_hidden_size=256,
        num_labels=CLASSES)).eval()
    for parameter in model.parameters():
        # Kernels larger than a fresh model's, so that no branch is lost beside its residual; norms
        # whose outputs are so small that the next norm's epsilon counts.
        torch.nn.init.normal_(parameter, std=0.08 if parameter.ndim > 1 else 0.03)
    randomize_norms(model)
    return model


@pytest.fixture(scope='module')
def in_memory(reference: torch.nn.Module) -> Weights:
    """Return the layout of a model in the memory of transformers 5."""
    weights = reference.state_dict()
    if not any(name.startswith('segformer.stages.') for name in weights):
        pytest.skip(f'transformers {transformers.__version__} has another layout in memory')
    return weights


@pytest.fixture(scope='module')
def hub(reference: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of the hub's layout, written by transformers itself."""
    folder = tmp_path_factory.mktemp('hub')
    reference.save_pretrained(folder)
    path = folder / 'model.safetensors'
    assert any(name.startswith('segformer.encoder.block.0.0.') for name in read_weights(path))
    return path


@pytest.fixture(scope='module')
def original(hub: Path) -> Weights:
    """Return the layout of the original repository, from the hub's."""
    rules = [
        (r'segformer\.encoder\.patch_embeddings\.(\d)\.layer_norm', r'patch_embed<\1>.norm'),
        (r'segformer\.encoder\.patch_embeddings\.(\d)\.proj', r'patch_embed<\1>.proj'),
        (r'segformer\.encoder\.layer_norm\.(\d)', r'norm<\1>'),
        (r'segformer\.encoder\.block\.(\d)', r'block<\1>'),
        (r'layer_norm_([12])', r'norm\1'), (r'attention\.self\.query', 'attn.q'),
        (r'attention\.output\.dense', 'attn.proj'), (r'attention\.self\.sr', 'attn.sr'),
        (r'attention\.self\.layer_norm', 'attn.norm'), (r'mlp\.dense([12])', r'mlp.fc\1'),
        (r'decode_head\.linear_c\.(\d)', r'decode_head.linear_c<\1>'),
        (r'decode_head\.linear_fuse\.', 'decode_head.linear_fuse.conv.'),
        (r'decode_head\.batch_norm', 'decode_head.linear_fuse.bn'),
        (r'decode_head\.classifier', 'decode_head.linear_pred')]
    weights = read_weights(hub)
    for name in [name for name in weights if '.attention.self.key.' in name]:
        pair = weights.pop(name), weights.pop(name.replace('.key.', '.value.'))
        weights[name.replace('attention.self.key', 'attn.kv')] = torch.cat(pair)
    renamed = {}
    for name, tensor in weights.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        # The original counts stages from one.
        name = re.sub(r'<(\d)>', lambda match: str(int(match.group(1)) + 1), name)
        renamed[name if name.startswith('decode_head') else f'backbone.{name}'] = tensor
    assert {'backbone.block1.0.attn.kv.weight', 'backbone.patch_embed4.proj.bias',
            'backbone.block2.1.mlp.dwconv.dwconv.weight', 'decode_head.linear_c4.proj.weight',
            'decode_head.linear_fuse.conv.weight'} <= renamed.keys()
    return renamed


def fresh() -> MultitaskNetwork:
    """Return our network with weights of its own."""
    return MultitaskNetwork('mit_b0', ('segmentation',), CLASSES, head_dim=256,
                            encoder_arguments={'norm_eps': 1e-5}).eval()


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return max|a-b| / max|a|."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def load_tensors(network: MultitaskNetwork, weights: Weights) -> None:
    """Put renamed tensors into the network; every one must fit."""
    flat = {re.sub(r'^stages\.', 'stages_', name): tensor
            for name, tensor in mit_encoder_weights(weights).items()}
    network.encoder.model.load_state_dict(flat)
    network.heads['segmentation'].load_state_dict(segformer_head_weights(weights))


def assert_equal_to(reference: torch.nn.Module, network: MultitaskNetwork) -> None:
    """Hold encoder maps and logits, published and folded, against the reference, in float64."""
    images = torch.randn(2, 3, 96, 160, dtype=torch.float64)
    reference, network = (copy.deepcopy(form).double().eval() for form in (reference, network))
    with torch.no_grad():
        theirs = reference(images, output_hidden_states=True)
        maps = network.encoder(images)
        for ours, hidden in zip(maps, theirs.hidden_states[-4:], strict=True):
            assert relative(ours, hidden) < EXACT
        published = network.forward_published(images)['segmentation']
        assert relative(published, theirs.logits) < EXACT
        assert relative(network.folded()(images)['segmentation'], theirs.logits) < EXACT
    assert torch.equal(published.argmax(1), theirs.logits.argmax(1))


def test_encoder_and_head_equal_transformers_with_its_tensors_of_today(reference, in_memory):
    network = fresh()
    load_tensors(network, in_memory)
    assert_equal_to(reference, network)


def test_the_published_epsilons_are_not_those_transformers_runs(reference, in_memory):
    # Else the test above could not tell which are in force.
    network = MultitaskNetwork('mit_b0', ('segmentation',), CLASSES, head_dim=256).eval()
    load_tensors(network, in_memory)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        difference = relative(network(images)['segmentation'], reference(images).logits)
    assert difference > 1e-5


def test_a_hub_file_loads_by_path_and_names_its_licence(reference, hub, log):
    network = fresh()
    licence = initialize(network, str(hub))
    assert_equal_to(reference, network)
    assert LICENCE in licence and str(hub) in licence and LICENCE in log.text


@pytest.mark.slow
@pytest.mark.parametrize('name', ['weights.pth', 'weights.bin', 'weights.safetensors'])
def test_a_file_of_the_original_repository_loads_by_path(reference, original, tmp_path, name, log):
    path = tmp_path / name
    if path.suffix == '.safetensors':
        from safetensors.torch import save_file
        save_file(original, path)
    else:
        torch.save({'state_dict': original, 'meta': {'epoch': 3}}, path)
    network = fresh()
    assert LICENCE in initialize(network, str(path)) and LICENCE in log.text
    assert_equal_to(reference, network)


def test_an_imagenet_file_without_backbone_prefix_fills_the_encoder_alone(original, tmp_path):
    encoder = {name.removeprefix('backbone.'): tensor for name, tensor in original.items()
               if name.startswith('backbone.')}
    encoder['head.weight'], encoder['head.bias'] = torch.zeros(1000, 256), torch.zeros(1000)
    torch.save(encoder, tmp_path / 'mit_b0.pth')
    network = fresh()
    before = network.heads['segmentation'].fuse.weight.clone()
    initialize(network, str(tmp_path / 'mit_b0.pth'))
    first = encoder['patch_embed1.proj.weight']
    assert torch.equal(network.encoder.model.stages_0.patch_embed.proj.weight, first)
    assert torch.equal(network.heads['segmentation'].fuse.weight, before)


def test_a_head_of_another_size_is_left_out_and_said(hub, log):
    network = MultitaskNetwork('mit_b0', num_classes=40, head_dim=64)
    before = network.heads['segmentation'].fuse.weight.clone()
    initialize(network, str(hub))
    assert torch.equal(network.heads['segmentation'].fuse.weight, before)
    assert 'only the encoder is used' in log.text


def save(tensors: object, path: Path) -> str:
    """Write what torch writes."""
    torch.save(tensors, path)
    return str(path)


@pytest.mark.parametrize(('make', 'part'), [
    (lambda folder: str(folder / 'absent.pth'), 'absent.pth'),
    (lambda folder: save({'layer.weight': torch.zeros(2)}, folder / 'a.pth'), 'no MiT tensor'),
    (lambda folder: save({}, folder / 'a.pth'), 'no MiT tensor'),
    (lambda folder: save(torch.zeros(2), folder / 'a.pth'), 'holds a Tensor'),
    (lambda folder: save([1, 2], folder / 'a.pth'), 'holds a list'),
    (lambda folder: save({'norm1.weight': torch.zeros(32)}, folder / 'a.pth'), 'lack'),
    (lambda folder: save({'segformer.encoder.block.0.0.attention.self.key.weight':
                          torch.zeros(32, 32)}, folder / 'a.pth'), 'kv_v'),
    (lambda folder: save({'model': Path('/')}, folder / 'a.pth'), 'cannot be read'),
    ], ids=['absent', 'other', 'empty', 'tensor', 'list', 'few', 'half of kv', 'pickled object'])
def test_a_file_without_these_weights_is_one_clear_line(make, part, tmp_path):
    with pytest.raises(InputError) as caught:
        initialize(fresh(), make(tmp_path))
    assert part in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['text.safetensors', 'text.pth', 'empty.bin'])
def test_a_file_of_another_kind_is_one_clear_line_with_its_name(name, tmp_path):
    (tmp_path / name).write_text('' if 'empty' in name else 'hello\nworld\n')
    with pytest.raises(InputError, match=name) as caught:
        initialize(fresh(), str(tmp_path / name))
    assert '\n' not in str(caught.value)


def test_weights_of_another_mit_are_refused_with_both_shapes(hub):
    with pytest.raises(InputError, match=r"'mit_b1' has \[64, 3, 7, 7\]"):
        initialize(MultitaskNetwork('mit_b1', ('segmentation',), CLASSES), str(hub))


def test_a_file_that_fits_the_head_alone_changes_nothing(hub, tmp_path):
    weights = read_weights(hub)
    del weights['segformer.encoder.layer_norm.3.bias']
    network = fresh()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match='norm.bias'):
        initialize(network, save(weights, tmp_path / 'a.pth'))
    assert all(torch.equal(before[name], tensor)
               for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(('data', 'words'), [
    (b'', 'no tensors that PyTorch has saved'), (b'name: t', 'no tensors that PyTorch has saved'),
    (None, 'no such file; give a file of weights'), (..., 'is a folder, not a file; give a file')])
def test_what_holds_no_weights_is_said_in_our_words(tmp_path, data, words):
    """PyTorch says in a page how to let the file run code."""
    path = tmp_path if data is ... else tmp_path / 'a.pth'
    if isinstance(data, bytes):
        path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_weights(path)
    assert '\n' not in str(caught.value) and 'weights_only' not in str(caught.value)


def test_no_network_for_the_hub_is_one_clear_line(monkeypatch):
    huggingface_hub = pytest.importorskip('huggingface_hub')
    asked = []

    def download(*arguments, **_):
        asked.append(arguments)
        raise OSError('cannot\nreach huggingface.co')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    with pytest.raises(InputError, match='nvidia/mit-b0 cannot be fetched') as caught:
        initialize(fresh(), 'hub')
    assert '\n' not in str(caught.value) and asked[0][0] == 'nvidia/mit-b0'


def test_weights_from_the_hub_are_used_and_their_licence_named(monkeypatch, reference, in_memory,
                                                               tmp_path, log):
    huggingface_hub = pytest.importorskip('huggingface_hub')
    path = save(in_memory, tmp_path / 'pytorch_model.bin')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', lambda *_, **__: path)
    network = fresh()
    assert LICENCE in initialize(network, 'hub') and LICENCE in log.text
    network.heads['segmentation'].load_state_dict(segformer_head_weights(in_memory))
    assert_equal_to(reference, network)


def test_the_hub_has_no_weights_for_other_encoders():
    with pytest.raises(InputError, match="no repository is known for encoder 'resnet18'"):
        initialize(MultitaskNetwork('resnet18', ('segmentation',), CLASSES), 'hub')


def test_none_says_that_the_weights_are_random():
    assert 'random' in initialize(fresh(), 'none')
