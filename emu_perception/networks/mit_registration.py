# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Make MiT-B0 to B5 known to timm: ``timm.create_model('mit_b2', features_only=True)``."""

from __future__ import annotations

from typing import Any

from emu_perception.networks.mix_transformer import CONFIGURATIONS, MixTransformer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

# timm reads this name. No address: the published weights come through networks/pretrained.py,
# which names their licence.
default_cfgs = generate_default_cfgs({
    name: {'url': '', 'input_size': (3, 512, 512), 'mean': (0.485, 0.456, 0.406),
           'std': (0.229, 0.224, 0.225), 'num_classes': 1000,
           'first_conv': 'stages.0.patch_embed.proj', 'classifier': 'head'}
    for name in CONFIGURATIONS})


def _create(variant: str, pretrained: bool, **kwargs: Any) -> nn.Module:
    embed_dims, depths = CONFIGURATIONS[variant]
    return build_model_with_cfg(
        MixTransformer, variant, pretrained, embed_dims=embed_dims, depths=depths,
        feature_cfg={'flatten_sequential': True, 'out_indices': (0, 1, 2, 3)}, **kwargs)


@register_model
def mit_b0(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B0: 3.3 M parameters."""
    return _create('mit_b0', pretrained, **kwargs)


@register_model
def mit_b1(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B1: 13.2 M parameters."""
    return _create('mit_b1', pretrained, **kwargs)


@register_model
def mit_b2(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B2: 24.2 M parameters."""
    return _create('mit_b2', pretrained, **kwargs)


@register_model
def mit_b3(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B3: 44.1 M parameters."""
    return _create('mit_b3', pretrained, **kwargs)


@register_model
def mit_b4(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B4: 60.8 M parameters."""
    return _create('mit_b4', pretrained, **kwargs)


@register_model
def mit_b5(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """MiT-B5: 81.4 M parameters."""
    return _create('mit_b5', pretrained, **kwargs)
