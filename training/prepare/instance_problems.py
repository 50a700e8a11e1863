# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the instance maps of a data set folder."""

from __future__ import annotations

import numpy as np

from ..data.dataset_folder import DatasetFolder
from .problem import Problem

# Of an instance's pixels: borders of labels and instances need not agree to the pixel.
STRAY_SHARE = 0.1


def about_things(folder: DatasetFolder) -> list[Problem]:
    """Return what is wrong with ``things`` and the folder of maps that they need."""
    has_maps = (folder.root / 'instance').is_dir()
    path = folder.root / 'dataset.yaml'
    if has_maps and not folder.things:
        return [Problem(path, "field 'things' is missing, so instance/ is not used: name the "
                        'classes that have instances', note=True)]
    if folder.things and not has_maps:
        return [Problem(folder.root / 'instance', f"is missing, though 'things' in {path} names "
                        f'{len(folder.things)} classes')]
    return []


def instances_on_stuff(folder: DatasetFolder, ids: np.ndarray, label: np.ndarray) -> str | None:
    """
    Return what is wrong where instances lie on classes that have none, or on two classes.

    :param ids: [H, W], 0 = none.
    :param label: stored class indices [H, W].
    """
    if label.shape != ids.shape:
        return None  # Said of the label map.
    known = (ids > 0) & (label != folder.ignore_index) & (label < len(folder.classes))
    if not known.any():
        return None
    pairs, counts = np.unique(np.stack([ids[known], label[known]]), axis=1, return_counts=True)
    for instance in np.unique(pairs[0]):
        own = pairs[0] == instance
        classes, pixels = pairs[1][own], counts[own]
        main = int(classes[pixels.argmax()])
        if main not in folder.things:
            return (f"instance {instance} lies on class '{folder.classes[main]}', which is none "
                    "of 'things'")
        if pixels.max() < (1 - STRAY_SHARE) * pixels.sum():
            return (f'instance {instance} lies on {len(classes)} classes, '
                    f'{", ".join(folder.classes[c] for c in classes[:4])}: an id is one object')
    return None
