# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What is said of a data set folder whose camera is not known: metres scale with the focal length.

The robot's node withholds the metres of such images and keeps the risk flag raised; a command that
measures or fits goes on, for images of the training camera need no scale, and says so.
"""

from __future__ import annotations

from functools import lru_cache
import logging

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.intrinsics import scale_problem
from emu_perception.networks.multitask import DEPTH

from .dataset_folder import DatasetFolder

LOGGER = logging.getLogger('training')
_MISSING = "field 'intrinsics' is missing: "
_REMEDY = 'give intrinsics: {width, height, fx, fy, cx, cy}, in pixels'
# Of a folder that is learned from.
NO_METRES = (f'{_MISSING}what learns these depths holds no training camera, so that a robot gets '
             f'no metres of it and its risk flag stays raised: {_REMEDY}')


def warn_of_camera(folder: DatasetFolder, metadata: CheckpointMetadata) -> None:
    """Warn, once, where a checkpoint's depths are measured or fitted without both cameras."""
    if DEPTH not in metadata.tasks:
        return
    problem, camera = scale_problem(metadata), metadata.intrinsics
    if problem:
        _warn(f'{metadata.name or "checkpoint"}: {problem}; here its depths are taken as they are')
    elif folder.intrinsics is None and camera is not None:
        _warn(f'{folder.root}/dataset.yaml: {_MISSING}its images are taken for those of the '
              f'training camera (fx {camera.fx:g} of {camera.width} pixels). Metres scale with '
              'the focal length: where it is another camera, all figures of depth, and what is '
              f'fitted to them, are wrong: {_REMEDY}')


def warn_of_training_camera(folder: DatasetFolder) -> None:
    """Warn, once, where what learns depths of a folder will know no camera of them."""
    if folder.intrinsics is None:
        _warn(f'{folder.root}/dataset.yaml: {NO_METRES}')


@lru_cache(maxsize=64)
def _warn(text: str) -> None:
    LOGGER.warning(text)
