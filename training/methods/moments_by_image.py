# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a teacher says of a batch where other members answer for other images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

from emu_perception.uncertainty import PredictiveMoments
import torch


def moments_by_image(moments: Callable[[torch.Tensor, Sequence[int]], PredictiveMoments],
                     images: torch.Tensor, answering: Sequence[tuple[int, ...]],
                     ) -> PredictiveMoments:
    """
    Return what a teacher says of a batch, of each image by its own members.

    :param moments: gives what some members say of some images.
    :param images: [B, 3, H, W].
    :param answering: of each image, indices of members.
    """
    where = {members: [i for i, own in enumerate(answering) if own == members]
             for members in dict.fromkeys(answering)}
    parts = [moments(images[rows], members) for members, rows in where.items()]
    # The groups stand after one another; this is where each image is among them.
    order = torch.tensor([row for rows in where.values() for row in rows]).argsort()

    def joined(name: str) -> torch.Tensor | None:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else torch.cat(found)[order.to(found[0].device)]
    return PredictiveMoments(**{field.name: joined(field.name)
                                for field in fields(PredictiveMoments)})
