# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Constants of a split's images, and what they are worth on images apart from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import logging
from pathlib import Path
from typing import Any

from emu_perception.checkpoint import Calibration, CheckpointMetadata

from ..data.dataset_folder import DatasetFolder
from ..data.frame_runs import folds
from ..evaluation.measuring import evaluate
from ..methods.ensemble import Ensemble
from .constants import fitted, Observation, observe

LOGGER = logging.getLogger('training')


@dataclass(frozen=True)
class CrossFit:
    """
    What the images of a split say of a network's constants.

    :ivar seen: of each image, by stem, of the network without constants.
    :ivar parts: the folds of whole runs.
    :ivar of_parts: of each fold, the constants of the images in all others; of one fold its own.
    :ivar before: metrics without constants.
    :ivar after: with those that each image was not fitted with.
    """

    seen: dict[str, Observation]
    parts: list[list[str]]
    of_parts: list[Calibration]
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def of_images(self) -> dict[str, Calibration]:
        """Return the constants that an image was not fitted with, by stem."""
        return {stem: constants for part, constants in zip(self.parts, self.of_parts)
                for stem in part}


def cross_fit(checkpoint: Path, metadata: CheckpointMetadata, folder: DatasetFolder,
              split: str, runs: Sequence[Sequence[str]], count: int, device: str,
              progress: bool = True) -> CrossFit:
    """
    Fit constants to the images outside each fold, and measure them on those inside.

    :param metadata: of the checkpoint; its own constants have no part in it.
    :param split: of images it was not trained on.
    :param runs: of neighbouring frames among them.
    :param count: of the folds.
    :raises EmuError: if there is no truth for any task of the checkpoint.
    """
    stems, parts = folder.stems(split), folds(runs, count)
    ensemble = Ensemble([checkpoint], method='deterministic', device=device)
    member = ensemble.members[0]
    # Fitted from nothing: what an earlier calibration left would be fitted upon.
    member.metadata = replace(metadata, calibration=Calibration())
    seen = observe(ensemble, folder, stems, progress)
    before = evaluate(ensemble, folder, stems, progress=progress, cluster=False)
    if len(parts) == 1:
        LOGGER.warning('%s: the %d images of %s are one run or one fold: the figures after are of '
                       'the images that the constants were fitted to', folder.root, len(stems),
                       split)
    # Not what it had, where a fold lacks a truth: that may have been fitted to these very images.
    of_parts = [fitted((seen[stem] for stem in outside(part, stems, parts)), Calibration())
                for part in parts]
    found = CrossFit(seen, parts, of_parts, before, {})
    of_images = found.of_images

    def use(stem: str) -> None:
        member.metadata = replace(metadata, calibration=of_images[stem])
    return replace(found, after=evaluate(ensemble, folder, stems, progress=progress,
                                         cluster=False, before_image=use))


def outside(part: Sequence[str], stems: Sequence[str], parts: Sequence[Sequence[str]],
            ) -> list[str]:
    """Return the images outside of a fold; of a single fold all."""
    inside = frozenset(part if len(parts) > 1 else ())
    return [stem for stem in stems if stem not in inside]
