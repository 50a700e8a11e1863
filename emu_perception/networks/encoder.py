# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A pyramid of four maps at strides 4, 8, 16 and 32: our own EfficientNet-Lite, or a model of timm's.

timm is imported where a network needs it, and not before: it costs memory and seconds at a start.
"""

from __future__ import annotations

from typing import Any

from emu_perception.errors import InputError, text_of
from emu_perception.networks import efficientnet_lite
import torch
from torch import nn

STRIDES = (4, 8, 16, 32)
# Arguments with which timm reads files or fetches weights (the architecture in a stranger's
# checkpoint must do neither), or which make a network that rgb images do not fit.
_REFUSED = ('checkpoint_path', 'cache_dir', 'pretrained', 'pretrained_cfg',
            'pretrained_cfg_overlay', 'in_chans')


def features_model(name: str, arguments: dict[str, Any], **settings: Any) -> Any:
    """Return the extractor of timm's name, ours or timm's own; otherwise as ``timm_model``."""
    if not settings and isinstance(name, str) and name in efficientnet_lite.CONFIGURATIONS:
        rate = arguments.get('drop_path_rate', 0.0)
        if set(arguments) <= {'drop_path_rate'} and isinstance(rate, (int, float)):
            return efficientnet_lite.efficientnet_lite(name, rate)
    return timm_model(name, arguments, features_only=True, **settings)


def timm_model(name: str, arguments: dict[str, Any], **settings: Any) -> Any:
    """
    Return timm's model of that name, with random weights.

    :param arguments: of the model, by its user.
    :param settings: further ones, which the user cannot set.
    :raises InputError: if timm does not know the name or cannot make it with these arguments.
    """
    try:
        # The first import registers mit_b0..b5 with timm.
        from emu_perception.networks import mit_registration  # noqa: F401
        import timm
    except ImportError as error:
        raise InputError(f"encoder '{name}' needs timm and what it imports ({error}): pip install "
                         '-r requirements/robot.txt -c keep.txt') from error
    # Names such as 'hf-hub:owner/model' would fetch the model from the network.
    if not isinstance(name, str) or not timm.is_model(name):
        raise InputError(f"encoder '{name}' is not known to timm {timm.__version__}; "
                         'timm.list_models() names those that are')
    refused = [key for key in arguments if key in _REFUSED]
    if refused:
        raise InputError(f"encoder argument '{refused[0]}' would load weights or change the "
                         'rgb input; leave it out')
    try:
        return timm.create_model(name, pretrained=False, **settings, **arguments)
    except Exception as error:  # timm's models raise many kinds; all mean the same here.
        given = {**{key: value for key, value in settings.items() if key != 'features_only'},
                 **arguments}
        raise InputError(f"encoder '{name}' with {given} cannot be made by "
                         f'timm {timm.__version__}: {text_of(error)}') from error


class PyramidEncoder(nn.Module):
    """
    A timm encoder that returns its last map of each stride in ``STRIDES``.

    :param name: a timm model name, for example ``mit_b2`` or ``tf_efficientnet_lite0``.
    :param arguments: further arguments of that model (``drop_path_rate`` ...), none that makes
        timm read a file or fetch weights.
    :param stage_dropout: probability of dropping a whole channel after each of the four stages, on
        the way to the next stage too. For Monte Carlo dropout in a convolutional encoder, which
        has no dropout of its own.
    :raises InputError: if timm does not know the name or a stride is missing.
    """

    def __init__(self, name: str, arguments: dict[str, Any] | None = None,
                 stage_dropout: float = 0.0) -> None:
        super().__init__()
        self.model = features_model(name, arguments or {})
        reductions = self.model.feature_info.reduction()
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise InputError(f"encoder '{name}' has maps at strides {reductions}, but none at "
                             f'{missing}: choose one with strides {list(STRIDES)}')
        self.name = name
        self._indices = [len(reductions) - 1 - reductions[::-1].index(s) for s in STRIDES]
        channels = self.model.feature_info.channels()
        self.channels: tuple[int, ...] = tuple(channels[i] for i in self._indices)
        if stage_dropout > 0:
            self._drop_after_stages(stage_dropout)
        # Swin and others of timm's models keep channels in the last dimension.
        self._nhwc = getattr(self.model, 'output_fmt', 'NCHW') == 'NHWC'

    def _drop_after_stages(self, probability: float) -> None:
        self.stage_dropout = nn.Dropout2d(probability)
        modules = dict(self.model.named_modules())
        names = self.model.feature_info.module_name()
        for name in (names[i] for i in self._indices):
            # timm flattens 'stages.0' to 'stages_0' in some of its models.
            stage = modules.get(name, modules.get(name.replace('.', '_')))
            if stage is None:
                raise InputError(f"stage_dropout: encoder '{self.name}' has no module '{name}' to "
                                 'put it after; choose another encoder or 0')
            # A bound method: a copy of the encoder drops with its own dropout, not with ours.
            stage.register_forward_hook(self._drop)

    def _drop(self, module: nn.Module, arguments: Any, output: Any) -> Any:
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            if self._nhwc:  # Dropout2d drops along the second dimension.
                return self.stage_dropout(output.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return self.stage_dropout(output)
        raise InputError(f"stage_dropout: a stage of encoder '{self.name}' gives no map "
                         '[B, C, H, W]; choose another encoder or 0')

    def backbone(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what the pretrained model alone makes of images: all there is, ``forward``."""
        maps = self.model(images)
        return [maps[i].permute(0, 3, 1, 2) if self._nhwc else maps[i] for i in self._indices]

    def from_backbone(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the maps as the model gives them for images in channels-last memory."""
        return [x.contiguous(memory_format=torch.channels_last) for x in maps]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map images [B, 3, H, W] to maps [B, C_i, ceil(H/s_i), ceil(W/s_i)], finest first."""
        return self.backbone(images)
