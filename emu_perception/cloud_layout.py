# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a point of a ``sensor_msgs/PointCloud2`` is here: node and recording write the same."""

from __future__ import annotations

import numpy as np

# rgb is a float that holds 0x00RRGGBB: what RViz and PCL expect.
_LAYOUT = (('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4'), ('label', '<u4'),
           ('sigma', '<f4'))
POINT = np.dtype(list(_LAYOUT))
# PointField's numbers of types.
_UINT32, _FLOAT32 = 6, 7
# Name, offset in bytes and type of each field, as PointField has them; each of one value.
FIELDS = [(name, 4 * index, _UINT32 if name == 'label' else _FLOAT32)
          for index, (name, _) in enumerate(_LAYOUT)]


def packed(rgb: np.ndarray) -> np.ndarray:
    """Return the field rgb, uint32 [...], of colours, uint8 [..., 3]."""
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return np.asarray(red << 16 | green << 8 | blue)
