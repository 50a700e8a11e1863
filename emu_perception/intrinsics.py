# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera that a data set or a checkpoint is of; apart, for it needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera of the training images: sizes, focal lengths and centre in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


class OfCamera(Protocol):
    """What is read here of a checkpoint's document."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the names of its tasks."""

    @property
    def intrinsics(self) -> Intrinsics | None:
        """Return the camera of its training images; None = unknown."""


def scale_problem(metadata: OfCamera) -> str:
    """
    Return why a checkpoint's depths can be metres of no camera; '' where they can be, or none.

    A network knows lengths only in the camera it was trained with.
    """
    if 'depth' not in metadata.tasks or metadata.intrinsics is not None:
        return ''
    return ('the checkpoint holds no training intrinsics, so its depth is of an unknown scale '
            'with every camera: give intrinsics in dataset.yaml and train or calibrate again')
