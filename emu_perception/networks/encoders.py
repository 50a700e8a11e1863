# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An encoder by its name: of stages, as they are, or a vision transformer with a pyramid."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from emu_perception.errors import InputError
from emu_perception.networks import efficientnet_lite
from emu_perception.networks.encoder import PyramidEncoder

if TYPE_CHECKING:
    from emu_perception.networks.vit_encoder import ViTEncoder

    Encoder = PyramidEncoder | ViTEncoder


def make_encoder(name: str, arguments: dict[str, Any] | None = None,
                 stage_dropout: float = 0.0) -> Encoder:
    """
    Return an encoder with maps at ``STRIDES``; arguments and errors as ``PyramidEncoder``.

    :raises InputError: if a vision transformer is to have ``stage_dropout`` too.
    """
    # Whether a name is a vision transformer's, timm must say: not imported for our own.
    if not isinstance(name, str) or name in efficientnet_lite.CONFIGURATIONS:
        return PyramidEncoder(name, arguments, stage_dropout)
    try:
        from emu_perception.networks.vit_encoder import is_vit, ViTEncoder
    except ImportError:  # No timm: said there, with what brings it.
        return PyramidEncoder(name, arguments, stage_dropout)
    if not is_vit(name):
        return PyramidEncoder(name, arguments, stage_dropout)
    if stage_dropout > 0:
        raise InputError(f"stage_dropout is {stage_dropout}: encoder '{name}' has no stages; give "
                         "0, and encoder_arguments {'proj_drop_rate': ...} for its own dropout")
    return ViTEncoder(name, arguments)
