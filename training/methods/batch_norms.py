# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norms that use the statistics they have, and update them no more."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_bn_statistics(network: nn.Module) -> None:
    """
    Let batch norms use their running statistics and update them no more.

    Their scales and shifts go on learning, now against what they meet at inference, where a batch
    of few images does not blur the statistics.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):  # Synchronised and timm's own norms too.
            module.eval()
