# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Splits a validation part off by scene: neighbouring frames stay on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from emu_perception.errors import InputError
import numpy as np

LARGEST_SCENE = 0.2  # Of the validation part: one long recording must not make up its figures.


def validation_scenes(scenes: Sequence[str], share: float, seed: int = 0) -> set[str]:
    """
    Choose whole scenes at random until they hold the share of the images.

    :param scenes: the scene of each image.
    :param share: of the images, 0..1, at least 0 and below 1.
    :return: the scenes of the validation part; its size is the share's or a little less.
    :raises InputError: if the share is no share, or no scene is small enough.
    """
    if not 0 <= share < 1:
        raise InputError(f'--val-share is {share:g}: give a share from 0 up to below 1')
    wanted = round(share * len(scenes))
    if not share:
        return set()
    if not wanted:
        raise InputError(f'--val-share is {share:g}: of {len(scenes)} images that is none: give a '
                         'larger share, or 0 for no val')
    sizes = Counter(scenes)
    limit = max(min(sizes.values()), LARGEST_SCENE * wanted)
    names = sorted(sizes)
    chosen, left = set(), wanted
    for index in np.random.default_rng(seed).permutation(len(names)):
        name = names[index]
        if sizes[name] <= min(limit, left):
            chosen.add(name)
            left -= sizes[name]
    if not chosen:
        raise InputError(f'--val-share is {share:g}: of {len(scenes)} images that is {wanted}, '
                         f'but the smallest scene has {min(sizes.values())}: give a larger share')
    return chosen
