# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Sensor pixels that network and neighbours contradict: what lies behind glass, and flying pixels.

A pane of glass is measured as what is behind it or mirrored in it: far too far, and a robot would
drive into it. A flying pixel hangs between a near and a far surface. Both may be replaced by
something nearer or by nothing; never by something farther, whatever is wrong here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from emu_perception.fusion.grid import to_image
from emu_perception.fusion.guided_fill import guided_fill
import numpy as np

OFF, COUNT, WITHHELD, NEARER = 'off', 'count', 'nan', 'nearer'
POLICIES = (OFF, COUNT, WITHHELD, NEARER)
# Farther than the network by so many of its sigmas: then the neighbours are asked too.
_SUSPECT, _SURE = 2.5, 2.0
_LEAST = 0.15  # As log: nearer than that to what is expected, nothing is contradicted.
# Between a nearer and a farther neighbour, each by this share of the distance: it flies.
_JUMP = 0.1
_F = np.float32


@dataclass(frozen=True)
class Contradiction:
    """
    What is said against a sensor's cells, on the grid.

    :ivar cells: bool [h, w], contradicted.
    :ivar log_factor: float32 [h, w], from the network's metres to what the other cells say.
    """

    cells: np.ndarray
    log_factor: np.ndarray


def contradicted(ratio: np.ndarray, known: np.ndarray, far: np.ndarray, relative: np.ndarray,
                 middle: float, guide: np.ndarray) -> Contradiction | None:
    """
    Find cells that are too far for the network and for the cells around; None = there are none.

    :param ratio: float32 [h, w], log(sensor / network), where ``known``.
    :param far: bool [h, w], seen, but too far to be ``known``: suspect whatever sigma is.
    :param relative: sigma / depth of the network.
    :param middle: the image's log factor.
    :param guide: of the fill.
    """
    suspect = far | known & (ratio - _F(middle) > np.maximum(_F(_SUSPECT) * relative, _F(_LEAST)))
    if not suspect.any():
        return None
    trusted = known & ~suspect
    expected = guided_fill(ratio - _F(middle), trusted.astype(_F), guide) + _F(middle)
    cells = suspect & (ratio - expected > np.maximum(_F(_SURE) * relative, _F(_LEAST)))
    return Contradiction(cells, expected) if cells.any() else None


def wrong_pixels(hint: np.ndarray, depth: np.ndarray, found: Contradiction | None
                 ) -> tuple[np.ndarray, np.ndarray]:
    """
    Return which of a sensor's pixels are contradicted, bool [H, W], and what is nearer there.

    :param hint: float32 [H, W], metres, +inf where nothing is seen.
    :param depth: float32 [H, W], the network's.
    :return: where a pixel is contradicted, the second is below the sensor's, metres.
    """
    seen = np.isfinite(hint)
    nearer, wrong = _flying(hint, seen)
    if found is not None:
        shape = (hint.shape[0], hint.shape[1])
        pane = cv2.resize(found.cells.view(np.uint8), shape[::-1],
                          interpolation=cv2.INTER_NEAREST) > 0
        expected = depth * to_image(cv2.exp(found.log_factor), shape)
        # NaN of the network is no nearer depth.
        pane &= seen & (expected < hint)
        nearer = np.where(pane & (expected < nearer), expected, nearer)
        wrong |= pane
    return wrong, nearer


def _flying(hint: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest of each pixel's nine, and which hang between a near and a far one."""
    box = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(hint, box)
    farthest = cv2.dilate(np.where(seen, hint, _F(0.0)), box)
    with np.errstate(invalid='ignore'):  # +inf - +inf, where nothing is seen: no comparison holds
        flying = seen & (hint - nearest > _F(_JUMP) * hint) & (farthest - hint > _F(_JUMP) * hint)
    return nearest, flying
