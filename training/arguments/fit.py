# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Train one network: python -m training.fit --recipe NAME data=DIR.

The recipe's ``method`` says how: baseline, mc_dropout, sub_ensemble or emuformer (``distill`` and
``ensemble`` are this command with the teacher, or the members, arranged).

Leaves in OUTPUT/NAME: best.safetensors and last.safetensors (self-describing checkpoints with risk
thresholds), state/last.ckpt (for --resume), recipe.yaml (as it ran), logs/ and tensorboard/.
With cache_features also OUTPUT/feature_cache, which any run there reads, and which may be removed
while none trains.
Several GPUs: devices=4 starts them itself; with torchrun or srun say nodes=N devices=M too.
"""

from __future__ import annotations

from .parsers import recipe_parser, RecipeParser


def parser() -> RecipeParser:
    """Return the parser of the command's line."""
    return recipe_parser('fit', __doc__)
