# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a Prediction holds: one row a map.

Topics, recordings, files and pictures read this table: a new map is what fills it and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from emu_perception.outputs import EPISTEMIC
from emu_perception.promises import depth_interval, label_set_size
import numpy as np

if TYPE_CHECKING:  # The checkpoint package needs torch, which a node may lack until configure.
    from emu_perception.checkpoint.metadata import CheckpointMetadata

# How a map is coloured: classes by the palette, numbers by one colour each, amounts by a scale.
PALETTE, NUMBERS, SCALE = 'palette', 'numbers', 'scale'
# Told apart by lightness alone, also by who sees no hues and in a grey print, and of no class's
# colour of ``visualization.default_palette``: dark blue, tan, cream.
_DARK_TO_LIGHT = ((0, 80, 160), (220, 160, 120), (255, 245, 200))


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _byte(share: np.ndarray) -> np.ndarray:
    """Return 0..1 as 0..255; what is no number is no confidence."""
    return np.rint(np.clip(np.nan_to_num(share), 0.0, 1.0) * 255.0).astype(np.uint8)


def _knowing_nothing(metadata: CheckpointMetadata) -> float:
    """Return ln K nats: the entropy of a network that takes every class for equally likely."""
    return math.log(max(len(metadata.classes), 2))


def _range_end(metadata: CheckpointMetadata) -> float:
    return metadata.depth_max if math.isfinite(metadata.depth_max) else 10.0


@dataclass(frozen=True, kw_only=True)
class MapRow:
    """
    A row.

    :ivar name: its key in ``Prediction.maps``.
    :ivar task: the task a network needs for it, or what it gives beside one (``EPISTEMIC``).
    :ivar unit: of its values; '1' for plain numbers.
    :ivar dtype: of its values.
    :ivar exact: whether resizing takes the nearest value: labels cannot be averaged, nor what is
        of them (how sure one class is says nothing of its neighbour), and neither can depths
        across an edge (it would invent points in mid-air) or beside +inf and NaN. Entropies and
        variances are blended with their neighbours of the network's grid: beside an edge they are
        between both sides', and not of the one pixel that label and depth are of.
    :ivar unknown: what a pixel holds of which nothing is known, in words.
    :ivar words: for people.
    :ivar topic: of what is given of it, below the node's name.
    :ivar encoding: of the topic's images.
    :ivar given_name: what users get is called: the map itself, or what is made of it.
    :ivar given_unit: its unit.
    :ivar given: makes that of the map.
    :ivar pixels: makes the topic's pixels of that.
    :ivar color: ``PALETTE``, ``NUMBERS``, ``SCALE``; '' has no colours.
    :ivar numbered: rgb of 0, 1, ... of ``NUMBERS`` that mean something each, what is unknown
        black; empty: the numbers only tell objects apart, 0 black.
    :ivar color_topic: of the coloured picture; '' has none.
    :ivar top: the value in the top colour of the scale.
    :ivar hinted: whether it is made where a depth camera or the ground tells the scale; no
        network gives it.
    :ivar made: makes it of the other maps by a promise's constants, where somebody asks for it;
        None: it is no promised map. See ``emu_perception/promises``.
    :ivar factors: how many constants that takes.
    """

    name: str
    task: str
    unit: str
    dtype: type[np.generic]
    exact: bool
    unknown: str
    words: str
    topic: str
    encoding: str
    given_name: str = ''
    given_unit: str = ''
    given: Callable[[np.ndarray], np.ndarray] = _as_it_is
    pixels: Callable[[np.ndarray], np.ndarray] = _as_it_is
    color: str = ''
    numbered: tuple[tuple[int, int, int], ...] = ()
    color_topic: str = ''
    top: Callable[[CheckpointMetadata], float] | None = None
    hinted: bool = False
    made: Callable[[Mapping[str, np.ndarray], tuple[float, ...]], np.ndarray] | None = None
    factors: int = 0

    def __post_init__(self) -> None:
        """Let what is given be called as the map where nothing else is said."""
        object.__setattr__(self, 'given_name', self.given_name or self.name)
        object.__setattr__(self, 'given_unit', self.given_unit or self.unit)


MAPS: dict[str, MapRow] = {row.name: row for row in (
    MapRow(name='label', task='segmentation', unit='class index', dtype=np.uint8, exact=True,
           unknown='255', words='labels', topic='label', encoding='mono8', color=PALETTE,
           color_topic='label_color'),
    MapRow(name='depth', task='depth', unit='m', dtype=np.float32, exact=True,
           unknown='NaN; +inf beyond the range', words='depth', topic='depth/image',
           encoding='32FC1', color=SCALE, top=_range_end),
    MapRow(name='segmentation_entropy', task='segmentation', unit='nat', dtype=np.float32,
           exact=False, unknown='none', words='entropy', topic='segmentation_uncertainty',
           encoding='32FC1', color=SCALE, color_topic='segmentation_uncertainty_color',
           top=_knowing_nothing),
    MapRow(name='depth_variance', task='depth', unit='m²', dtype=np.float32, exact=False,
           unknown='none', words='depth sigma', topic='depth_uncertainty', encoding='32FC1',
           given_name='depth_sigma', given_unit='m', given=np.sqrt, color=SCALE,
           color_topic='depth_uncertainty_color', top=lambda metadata: 1.0),
    MapRow(name='confidence', task='segmentation', unit='1', dtype=np.float32, exact=True,
           unknown='none', words='confidence', topic='confidence', encoding='mono8',
           pixels=_byte),
    MapRow(name='depth_source', task='depth', unit='0 network, 1 corrected, 2 sensor',
           dtype=np.uint8, exact=True, unknown='255', words='source of depth',
           topic='depth/source', encoding='mono8', color=NUMBERS, numbered=_DARK_TO_LIGHT,
           hinted=True),
    MapRow(name='instance', task='instance', unit='object number', dtype=np.uint16, exact=True,
           unknown='0', words='instances', topic='instance', encoding='16UC1', color=NUMBERS),
    MapRow(name='mutual_information', task=EPISTEMIC['segmentation'], unit='nat',
           dtype=np.float32, exact=False, unknown='none', words='mutual information',
           topic='segmentation_uncertainty/epistemic', encoding='32FC1'),
    MapRow(name='depth_epistemic_variance', task=EPISTEMIC['depth'], unit='m²', dtype=np.float32,
           exact=False, unknown='none', words='epistemic depth sigma',
           topic='depth_uncertainty/epistemic', encoding='32FC1',
           given_name='depth_epistemic_sigma', given_unit='m', given=np.sqrt),
    # Both ends in one message: two topics could be mismatched, and an end alone says nothing.
    MapRow(name='depth_interval', task='depth', unit='m', dtype=np.float32, exact=True,
           unknown='NaN, NaN', words='depth interval', topic='depth/interval', encoding='32FC2',
           made=depth_interval.made, factors=depth_interval.FACTORS),
    MapRow(name='label_set_size', task='segmentation', unit='classes', dtype=np.uint8, exact=True,
           unknown='the number of classes', words='label set size', topic='label_set_size',
           encoding='mono8', made=label_set_size.made, factors=label_set_size.FACTORS),
)}


def maps_of(tasks: Collection[str]) -> tuple[MapRow, ...]:
    """Return the rows that a network of these tasks gives, in the table's order."""
    return tuple(row for row in MAPS.values()
                 if row.task in tasks and not row.hinted and row.made is None)
