# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether depths of a data set can be metres: in other units a network learns them as well."""

from __future__ import annotations

# What the mean of a camera's depths lies between, on anything that drives, walks or flies low.
NEAREST_M, FARTHEST_M = 0.05, 300.0


def depth_doubt(metres: float, scale: float) -> str:
    """
    Return why depths are hardly metres, a clause behind the name of a file; '' where they may be.

    :param metres: their mean.
    :param scale: metres of one stored step, as dataset.yaml says.
    """
    if NEAREST_M <= metres <= FARTHEST_M:
        return ''
    return (f"depths lie around {metres:.3g} m: field 'depth.scale' is {scale:g}, the metres of "
            'one stored step (0.001 of millimetres): is it that of these files?')
