# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The 19 classes of Cityscapes that are evaluated: names, labelIds and colours of the data set."""

from __future__ import annotations

import numpy as np

from ..data.dataset_folder import IGNORE

# Class index (the official trainId): name, labelId, rgb.
_CLASSES = (
    ('road', 7, (128, 64, 128)),
    ('sidewalk', 8, (244, 35, 232)),
    ('building', 11, (70, 70, 70)),
    ('wall', 12, (102, 102, 156)),
    ('fence', 13, (190, 153, 153)),
    ('pole', 17, (153, 153, 153)),
    ('traffic light', 19, (250, 170, 30)),
    ('traffic sign', 20, (220, 220, 0)),
    ('vegetation', 21, (107, 142, 35)),
    ('terrain', 22, (152, 251, 152)),
    ('sky', 23, (70, 130, 180)),
    ('person', 24, (220, 20, 60)),
    ('rider', 25, (255, 0, 0)),
    ('car', 26, (0, 0, 142)),
    ('truck', 27, (0, 0, 70)),
    ('bus', 28, (0, 60, 100)),
    ('train', 31, (0, 80, 100)),
    ('motorcycle', 32, (0, 0, 230)),
    ('bicycle', 33, (119, 11, 32)),
)
NAMES = tuple(name for name, _, _ in _CLASSES)
PALETTE = tuple(rgb for _, _, rgb in _CLASSES)
SKY = NAMES.index('sky')
THINGS = NAMES[SKY + 1:]
THING_IDS = tuple(label_id for name, label_id, _ in _CLASSES if NAMES.index(name) > SKY)
_INSTANCES_PER_CLASS = 1000  # A pixel of instance n of class c holds 1000 c + n, else c alone.


def label_table() -> np.ndarray:
    """Return uint8 [256]: of labelId to class index, 255 for what is not evaluated."""
    table = np.full(256, IGNORE, np.uint8)
    for index, (_, label_id, _) in enumerate(_CLASSES):
        table[label_id] = index
    return table


def thing_instances(instance_ids: np.ndarray) -> np.ndarray:
    """
    Return instance ids of the eight thing classes, uint16; 0 elsewhere, groups included.

    :param instance_ids: [H, W] as in ``*_gtFine_instanceIds.png``.
    """
    things = np.isin(instance_ids // _INSTANCES_PER_CLASS, THING_IDS)
    return np.where(things, instance_ids, 0).astype(np.uint16)
