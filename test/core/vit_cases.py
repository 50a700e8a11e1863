# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Vision transformers of a few thousand parameters, for several tests."""

from __future__ import annotations

from typing import Any

from core_bench import make_network
from emu_perception.networks.multitask import MultitaskNetwork
from torch import nn

# Three ways to say where a patch is and what stands before the patches: learned positions and a
# class token; four registers too; rotary positions.
VITS = ('vit_small_patch14_dinov2', 'vit_small_patch14_reg4_dinov2', 'vit_small_patch16_dinov3')
TINY: dict[str, Any] = {'depth': 4, 'embed_dim': 32, 'num_heads': 2, 'img_size': 112}


def tiny_vit(name: str, **arguments: Any) -> MultitaskNetwork:
    """Return a network on a tiny ViT whose layers are as if trained: none is nearly nothing."""
    network = make_network(name, encoder_arguments=TINY, **arguments)
    for part, parameter in network.encoder.named_parameters():
        # Layer scales of 1e-5 would hide every mistake behind them.
        if 'gamma' in part:
            nn.init.uniform_(parameter, 0.5, 1.5)
        elif 'pos_embed' in part or 'token' in part:
            nn.init.normal_(parameter, std=0.5)
    return network
