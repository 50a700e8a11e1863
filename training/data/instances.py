# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Instance maps as what a network regresses: from each pixel to its instance's centroid."""

from __future__ import annotations

from typing import Any

from emu_perception.errors import InputError
from emu_perception.instances import InstanceSettings
import numpy as np

from ..recipes.options import RecipeError


def instance_settings(clustering: dict[str, Any], things: tuple[int, ...]) -> InstanceSettings:
    """
    Return how votes become instances.

    :param clustering: the recipe's section.
    :param things: the data set's.
    :raises RecipeError: if a field of the section is unknown or out of its range.
    """
    try:
        if 'things' in clustering:
            raise InputError("'things' is the data set's: name them in its dataset.yaml")
        return InstanceSettings.of({**clustering, 'things': things})
    except InputError as error:
        raise RecipeError(f"field 'clustering' is {clustering}: {error}") from error


def centroid_vectors(instance: np.ndarray) -> np.ndarray:
    """
    Return the vector from each pixel to the centroid of its instance (Kendall et al., section 4).

    The centroid is the mean of the pixels that are seen, whether or not they hang together: a
    mask that an occluder splits is one instance with one centroid, and one that the frame cuts
    has the centroid of what is left.

    :param instance: ids [H, W], 0 = none.
    :return: float32 [2, H, W], dx (to the right) and dy (down) in pixels; 0 where there is none.
    """
    index = instance.ravel()
    rows, columns = np.indices(instance.shape).reshape(2, -1)
    count = np.bincount(index).clip(min=1)
    vectors = np.stack([(np.bincount(index, where) / count)[index] - where
                        for where in (columns, rows)]).reshape(2, *instance.shape)
    return np.where(instance > 0, vectors, 0.0).astype(np.float32)
