# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a pretrained encoder learns: all, none, its last blocks or low-rank additions."""

from __future__ import annotations

import logging

from emu_perception.networks.families import Network
from emu_perception.networks.vit_encoder import ViTEncoder
from torch import nn

from ..recipes.options import RecipeError
from ..recipes.sections import FinetuneOptions
from .lora import add_low_rank

LOGGER = logging.getLogger('training')


def restrict(network: Network, options: FinetuneOptions) -> None:
    """
    Let only the part of the encoder learn that a recipe says; its pyramid and the heads always do.

    :raises RecipeError: if this encoder has no such part.
    """
    if options.encoder == 'all':
        return
    encoder, model = network.encoder, network.encoder.model
    if options.encoder == 'none':
        # Its batch norms use the statistics they came with: see ``TrainingModule.train``.
        model.requires_grad_(False)
    else:
        if not isinstance(encoder, ViTEncoder):
            raise RecipeError(f"field 'finetune.encoder' is '{options.encoder}', but "
                              f"'{encoder.name}' is no vision transformer: give 'all' or 'none'")
        model.requires_grad_(False)
        if options.encoder == 'last':
            if options.blocks > len(model.blocks):
                raise RecipeError(f"field 'finetune.blocks' is {options.blocks}, but "
                                  f"'{encoder.name}' has {len(model.blocks)}: lower it")
            for part in (*model.blocks[-options.blocks:], model.norm):
                part.requires_grad_(True)
        else:
            add_low_rank([layer for block in model.blocks for layer in block.attn.modules()
                          if isinstance(layer, nn.Linear)], options.rank, options.alpha)
    counts = [sum(parameter.numel() for parameter in network.parameters()
                  if parameter.requires_grad or not learning) for learning in (True, False)]
    LOGGER.info('finetune.encoder=%s: %.2f of %.2f million parameters learn', options.encoder,
                counts[0] / 1e6, counts[1] / 1e6)
