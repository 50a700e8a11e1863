# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The ruler's kinds, one row each; a new kind is a function and a row.

All are pure: the generator is the only source of chance, and one of the same seed gives the same
image again. All take and give rgb uint8 [H, W, 3] of any size, which is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from emu_perception.corruptions import (
    content,
    lens,
    light,
    link,
    mild,
    optics,
    sensor,
    unseen,
)
from emu_perception.errors import InputError
import numpy as np

Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# By severity, 1 (hardly any loss of accuracy) to 5 (little can be seen).
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType({
    'dark': light.dark,
    'over_exposure': light.over_exposure,
    'fog': light.fog,
    'glare': light.glare,
    'flare': light.flare,
    'blur': optics.blur,
    'defocus': optics.defocus,
    'motion': optics.motion,
    'cover': lens.cover,
    'dirt': lens.dirt,
    'drops': lens.drops,
    'noise': sensor.noise,
    'rolling_lines': sensor.rolling_lines,
    'jpeg': sensor.jpeg,
    'low_resolution': sensor.low_resolution,
})
# Those that views for training and ``training.studies.uncertainty`` use: a network that was
# trained with them has seen none of the others.
BASIC = ('dark', 'blur', 'cover', 'noise', 'flare')
# Of content: nothing is wrong with the picture's quality.
BREAKS: Mapping[str, Change] = MappingProxyType({
    'upside_down': content.upside_down,
    'jigsaw': content.jigsaw,
    'foreign': content.foreign,
    'foreign_restyled': content.foreign_restyled,
    'foreign_objects': content.foreign_objects,
})
# Nothing is fitted to these, nor trained with: what the flag is worth on what nobody thought of.
FAULTS: Mapping[str, Change] = MappingProxyType({
    'swapped_colors': link.swapped_colors,
    'wrong_step': link.wrong_step,
    'torn': link.torn,
    'lines_lost': link.lines_lost,
    'lines_repeated': link.lines_repeated,
    'interlaced': link.interlaced,
    'wrong_bits': link.wrong_bits,
    'blocks_lost': link.blocks_lost,
    'chroma_lost': link.chroma_lost,
    'ghost': unseen.ghost,
    'colored_light': unseen.colored_light,
    'vignette': unseen.vignette,
    'rain': unseen.rain,
    'salt_and_pepper': unseen.salt_and_pepper,
})
# The flag should stay down.
MILD: Mapping[str, Change] = MappingProxyType({
    'brighter': mild.brighter,
    'darker': mild.darker,
    'less_contrast': mild.less_contrast,
    'warmer': mild.warmer,
    'jpeg_60': mild.jpeg_60,
    'half_resolution': mild.half_resolution,
    'faint_noise': mild.faint_noise,
    'mirrored': mild.mirrored,
})
# What is done to the image has to be done to its truth, with a generator of the same seed.
MOVED = frozenset({'upside_down', 'jigsaw', 'torn', 'mirrored'})


def corrupted(rgb: np.ndarray, kind: str, severity: float,
              rng: np.random.Generator) -> np.ndarray:
    """
    Return an image as a camera in trouble gives it.

    :param rgb: uint8 [H, W, 3].
    :param kind: a name of ``CORRUPTIONS``.
    :param severity: 1 to 5; numbers in between are allowed.
    :raises InputError: for another kind or severity.
    """
    function = CORRUPTIONS.get(kind)
    if function is None:
        raise InputError(f"corruption is '{kind}': give one of {', '.join(CORRUPTIONS)}")
    return function(rgb, severity, rng)
