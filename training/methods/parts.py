# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a training module is given, beside its network and its recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch

from .sampling import Teacher

Batch = dict[str, torch.Tensor]
# Makes a batch of views of one that the loader has only drawn.
CutViews = Callable[[Batch], Batch]


@dataclass(frozen=True)
class Parts:
    """
    What a module is made of beside its network and its recipe; each method takes what it needs.

    :ivar mean: of the input's normalisation, 0..1.
    :ivar std: likewise.
    :ivar class_weights: of the CE, [K]; None = all alike.
    :ivar views_on: makes, on a device, what cuts the views there; None = the loader cuts them.
    :ivar depth_max: metres, end of the data's range.
    :ivar focal: focal length of the training camera in units of a view's width at scale 1; None if
        the data set does not say.
    :ivar teacher: of a student.
    :ivar classes: of the data set, or of the teacher where that names none.
    :ivar answering: of each image, by a batch's ``index``, the members that answer for it; None =
        all of the teacher's.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_weights: torch.Tensor | None = None
    views_on: Callable[[torch.device], CutViews] | None = None
    depth_max: float = math.inf
    focal: float | None = None
    teacher: Teacher | None = None
    classes: tuple[str, ...] = ()
    answering: tuple[tuple[int, ...], ...] | None = None
