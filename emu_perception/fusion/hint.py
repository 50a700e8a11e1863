# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a depth camera saw, checked, and how well such a camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from emu_perception.cameras.depth_decoding import metres_of
from emu_perception.cameras.topics import apart_from_image
from emu_perception.errors import InputError
import numpy as np

# Of a stereo depth camera, metres: its error grows with the square of the distance.
SENSOR_FLOOR_M, SENSOR_GROWTH_PER_M = 0.005, 0.0025
# Beyond, a depth camera indoors has measured nothing.
FARTHEST_M = 100.0
# What a driver writes for nothing seen, 65535 mm, when it was made metres by others.
_SATURATED_M, _HALF_MM = 65.535, 5e-4


@dataclass(frozen=True)
class DepthHint:
    """
    A depth camera's view of an image.

    :ivar depth: float32 [H, W], metres along the optical axis; +inf where it saw nothing.
    :ivar sigma: metres, a number or float32 [H, W]; None = a stereo camera's.
    """

    depth: np.ndarray
    sigma: np.ndarray | float | None = None

    @property
    def known(self) -> np.ndarray:
        """Return where it saw something, bool [H, W]."""
        return self.depth < FARTHEST_M

    @property
    def variance(self) -> np.ndarray | float:
        """Return the variance of its depths, m²; where it saw nothing it means nothing."""
        if self.sigma is not None:
            return self.sigma ** 2
        sigma = self.depth * self.depth
        sigma *= np.float32(SENSOR_GROWTH_PER_M)
        sigma += np.float32(SENSOR_FLOOR_M)
        sigma *= sigma
        return sigma

    def rows(self, rows: slice) -> DepthHint:
        """Return a band of it; a view."""
        sigma = self.sigma[rows] if isinstance(self.sigma, np.ndarray) else self.sigma
        return DepthHint(self.depth[rows], sigma)

    def at(self, size: tuple[int, int]) -> DepthHint:
        """Return it at (height, width), nearest values: depths are not averaged across edges."""
        if self.depth.shape == size:
            return self

        def resized(values: np.ndarray) -> np.ndarray:
            return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return DepthHint(resized(self.depth),
                         resized(self.sigma) if isinstance(self.sigma, np.ndarray) else self.sigma)


def checked_hint(depth: np.ndarray, sigma: np.ndarray | float | None,
                 image_size: tuple[int, int]) -> DepthHint:
    """
    Return a hint of an image.

    :param depth: [height, width] of the image: float in metres (0, negative or not finite where
        there is none), or uint16 in millimetres (0, or the largest number, where there is none).
        Where it is masked there is none either.
    :param sigma: metres, of all pixels or [height, width]; None = a stereo depth camera's.
    :raises InputError: if one is of another size or kind, so not aligned to the image, or of other
        units.
    """
    if isinstance(depth, np.ma.MaskedArray):  # What lies under a mask is no depth.
        depth = depth.filled(0)
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or not (
            _is_millimetres(depth) or np.issubdtype(depth.dtype, np.floating)):
        kind = (f'{depth.dtype} {list(depth.shape)}' if isinstance(depth, np.ndarray)
                else type(depth).__name__)
        raise InputError(f'depth_hint is {kind}: give [height, width], float in metres or uint16 '
                         'in millimetres')
    if depth.shape != tuple(image_size):
        raise InputError(f'depth_hint is {depth.shape[1]}x{depth.shape[0]}, the image '
                         f'{image_size[1]}x{image_size[0]}: give the depth that is aligned to the '
                         'image (the driver or depth_image_proc registers it)')
    metres = metres_of(depth) if _is_millimetres(depth) else depth.astype(np.float32)
    seen = metres > 0
    if seen.any() and not (metres[seen] < FARTHEST_M).any() and np.isfinite(metres[seen]).any():
        raise InputError(f'depth_hint begins at {metres[seen].min():g} m, beyond what a depth '
                         'camera sees: is it in millimetres? give float metres or uint16')
    # Written so that NaN is nothing too.
    np.copyto(metres, np.float32(np.inf), where=~(
        (metres > 0) & (metres < FARTHEST_M) & (np.abs(metres - _SATURATED_M) > _HALF_MM)))
    if sigma is None:
        return DepthHint(metres)
    try:
        given = np.asarray(np.ma.filled(sigma, np.nan), np.float32)
    except (TypeError, ValueError):
        given = np.asarray(np.nan, np.float32)
    if given.ndim and given.shape != depth.shape or not (np.isfinite(given) & (given > 0)).all():
        raise InputError(f'hint_sigma is of shape {list(given.shape)}: give metres above 0, one '
                         'number or as many as depth_hint has pixels')
    return DepthHint(metres, given if given.ndim else float(given))


def unaligned(given: str, image: str) -> str:
    """Return why a depth of another frame_id than its image's is no hint; '' where it is none."""
    apart = apart_from_image(given, image)
    return f'it {apart}: give the depth that is aligned to the image' if apart else ''


def _is_millimetres(depth: np.ndarray) -> bool:
    """Tell whether it is uint16, of any byte order."""
    return depth.dtype.kind == 'u' and depth.dtype.itemsize == 2
