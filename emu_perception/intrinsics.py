# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera that a data set or a checkpoint is of; apart, for it needs no network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera of the training images: sizes, focal lengths and centre in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
