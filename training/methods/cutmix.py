# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""CutMix (Yun et al., ICCV 2019, arXiv 1905.04899) for dense truth: views pasted into views."""

from __future__ import annotations

import torch

# What a batch has for every pixel, as training views do.
MAPS = ('image', 'label', 'depth')


def cutmix(batch: dict[str, torch.Tensor], probability: float) -> dict[str, torch.Tensor]:
    """
    Paste into some views a rectangle of another view of the batch, at its own place.

    Image, label and depth come from the same pixel, so each pixel's truth stays its own, padding
    included, and needs no second label. The rectangle has the view's aspect and a share of its
    area uniform in 0..1, its centre is anywhere; what lies outside of the view is lost.

    :param batch: image [B, 3, H, W], label and depth [B, H, W]; it is not changed.
    :param probability: of each view to get a rectangle.
    :return: the batch with other maps; its ``index`` stays that of the views pasted into.
    """
    label = batch['label']
    count, height, width = label.shape
    if count < 2:
        return batch
    # On the CPU, whatever trains: the seed of a step gives the same rectangles there.
    side = torch.rand(count).sqrt()
    side[torch.rand(count) >= probability] = 0.0
    middle = torch.rand(count, 2)
    rows = _inside(height, middle[:, 0], side)
    columns = _inside(width, middle[:, 1], side)
    inside = (rows[:, :, None] & columns[:, None, :]).to(label.device)
    # A turn by less than the whole: never a view's own rectangle.
    turn = int(torch.randint(1, count, ()))
    mixed = dict(batch)
    for name in MAPS:
        values = batch[name]
        where = inside[:, None] if values.ndim == 4 else inside
        mixed[name] = torch.where(where, values.roll(turn, 0), values)
    return mixed


def _inside(length: int, middle: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Return bool [B, length], which pixel centres lie within ``side`` / 2 of ``middle``."""
    centres = (torch.arange(length) + 0.5) / length
    return (centres - middle[:, None]).abs() < side[:, None] / 2
