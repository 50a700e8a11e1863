# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The ground as a ruler of a recording: whose camera, and what it was worth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.cameras.camera import Camera
from emu_perception.fusion import Ground
from emu_perception.planning.classes import members
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction


@dataclass(frozen=True)
class GroundSummary:
    """
    What the ground said.

    :ivar images: so many were asked: those whose scale no depth hint tells.
    :ivar seen: so many of them showed enough of it, and were believed.
    :ivar refused: so many said a scale that is not believed.
    :ivar scale_factors: what metres of all images are multiplied by: the tenth, fiftieth and
        ninetieth of a hundred.
    """

    images: int
    seen: int
    refused: int
    scale_factors: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class GroundRuler:
    """
    By what the ground tells the scale of a recording's images.

    :ivar classes: of the network, by index; ``names`` those of the ground.
    """

    mounting: Mounting
    classes: Sequence[str]
    names: Sequence[str]

    def of(self, prediction: Prediction, camera: Camera) -> Ground:
        """Return the ground of an image."""
        return Ground.of(prediction, camera, self.mounting, self.classes, self.names)


def ruler_of(options: argparse.Namespace, classes: Sequence[str]) -> GroundRuler | None:
    """
    Return by what the ground tells the scale; None where the camera's height is not known.

    :param options: of ``add_ground``.
    :raises InputError: one line, if the network has no class of such a name.
    """
    if options.camera_height is None:
        return None
    members(classes, options.ground_classes, '--ground-classes')
    return GroundRuler(Mounting.of(options.camera_height, options.camera_pitch), classes,
                       options.ground_classes)


def ground_line(summary: GroundSummary) -> str:
    """Return a summary for people."""
    refused = f'; {summary.refused} not believed' if summary.refused else ''
    if not summary.images:
        return 'ground: no image asked it, each has its scale of a depth hint, or no metres'
    if not summary.seen:
        return f'ground: it tells no scale in any of {summary.images} images{refused}'
    low, middle, high = summary.scale_factors
    return (f'ground: in {summary.seen} of {summary.images} images; metres are multiplied by '
            f'{middle:.2f} ({low:.2f} to {high:.2f}){refused}')
