# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a Prediction holds: one row a map."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MapRow:
    """
    A row.

    :ivar name: its key in ``Prediction.maps``.
    :ivar task: the task a network needs for it.
    :ivar unit: of its values; '1' for plain numbers.
    :ivar dtype: of its values.
    :ivar exact: whether resizing takes the nearest value: labels cannot be averaged, and neither
        can depths across an edge (it would invent points in mid-air) or beside +inf and NaN.
    :ivar unknown: what a pixel holds of which nothing is known, in words.
    """

    name: str
    task: str
    unit: str
    dtype: type[np.generic]
    exact: bool
    unknown: str


MAPS: dict[str, MapRow] = {row.name: row for row in (
    MapRow('label', 'segmentation', 'class index', np.uint8, True, '255'),
    MapRow('segmentation_entropy', 'segmentation', 'nat', np.float32, False, 'none'),
    MapRow('confidence', 'segmentation', '1', np.float32, False, 'none'),
    MapRow('depth', 'depth', 'm', np.float32, True, 'NaN; +inf beyond the range'),
    MapRow('depth_variance', 'depth', 'm²', np.float32, False, 'none'),
    MapRow('instance', 'instance', 'object number', np.uint16, True, '0'),
)}


def maps_of(tasks: Collection[str]) -> tuple[MapRow, ...]:
    """Return the rows that a network of these tasks may have, in the table's order."""
    return tuple(row for row in MAPS.values() if row.task in tasks)
