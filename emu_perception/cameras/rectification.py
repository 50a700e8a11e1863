# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A lens's distortion taken out: from the image as the lens gives it to that of a pinhole camera.

As image_proc does it, from K and D to R and P, with one difference: no pixel of the result is
without a source. Where P shows more than the lens saw (calibrated with alpha above 0), the result
is zoomed until it does not: what lies in black corners would be labels and metres of nothing, and
would count in the scores of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
from emu_perception.cameras.lens import Lens
from emu_perception.cameras.pinhole import Pinhole
from emu_perception.errors import InputError
import numpy as np

# Beyond it a view is given up: P is of another lens, or shows mostly what was not seen.
LARGEST_ZOOM = 1.5
# A source pixel has an extent: so far outside its centre, at the border, it still counts. After
# zooming a little more, for the new pixels lie between the ones that were looked at.
_BORDER_PX, _BORDER_ZOOMED_PX = 1.0, 1.5
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_NO_ROTATION = 1e-3
_SMALL = 600_000  # Pixels; 848x480 is, 1280x720 is not.
_NO_FRACTIONS = np.empty(0, np.uint16)


@dataclass(frozen=True)
class View:
    """
    The pinhole camera that is asked for.

    :ivar pinhole: at the pixels of the image.
    :ivar rotation: R, row by row, from the lens's frame to this camera's.
    """

    pinhole: Pinhole
    rotation: tuple[float, ...] = _IDENTITY


@dataclass(frozen=True, eq=False)
class Rectification:
    """
    The maps of one camera.

    :ivar raw: K at the pixels of the image that comes; ``view`` of the rectified one.
    :ivar zoom: by how much it is zoomed beyond what was asked for, 1 or more.
    """

    lens: Lens
    raw: Pinhole
    view: View
    zoom: float
    _colours: tuple[np.ndarray, np.ndarray]
    _nearest: np.ndarray
    _per_raw_depth: np.ndarray | None

    @property
    def source(self) -> np.ndarray:
        """Return where in the raw image each pixel is from, (x, y), float32 [H, W, 2]; anew."""
        height, width = self._nearest.shape[:2]
        return _source(self.lens, self.raw, self.view, width, height)

    def image(self, raw: np.ndarray) -> np.ndarray:
        """
        Return the rectified image of uint8 [H, W, 3].

        Between pixels by cubics: linearly it is three times as quick and blurs, and the network's
        depth is off by 1 % more (``training.studies.rectification``). Of large images, which the
        network sees shrunk, by .3 %: these are mixed linearly.
        """
        self._check(raw)
        small = raw.shape[0] * raw.shape[1] <= _SMALL
        return cv2.remap(raw, *self._colours, cv2.INTER_CUBIC if small else cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)

    def nearest(self, raw: np.ndarray) -> np.ndarray:
        """Return rectified values that cannot be averaged, such as labels, [H, W]."""
        self._check(raw)
        return cv2.remap(raw, self._nearest, _NO_FRACTIONS, cv2.INTER_NEAREST,
                         borderMode=cv2.BORDER_REPLICATE)

    def depth(self, raw: np.ndarray) -> np.ndarray:
        """
        Return rectified depths, float32 [H, W], metres along this view's axis; nearest values.

        :param raw: of the raw image, float32 [H, W], along the lens's axis; 0, NaN and +inf, where
            nothing is seen, stay what they are.
        """
        found = self.nearest(raw)
        return found if self._per_raw_depth is None else found * self._per_raw_depth

    def _check(self, raw: np.ndarray) -> None:
        # The maps would take a part of a larger image for the whole.
        height, width = self._nearest.shape[:2]
        if raw.shape[:2] != (height, width):
            raise InputError(f'it is {raw.shape[1]}x{raw.shape[0]}, the camera that rectifies it '
                             f'{width}x{height}: give what is of one size')


def rotation_of(r: tuple[float, ...]) -> tuple[float, ...] | None:
    """Return R where it is a rotation, the identity where it is all 0 (not set); else None."""
    if not any(r):
        return _IDENTITY
    matrix = np.reshape(r, (3, 3))
    off = np.abs(matrix @ matrix.T - np.eye(3)).max()
    return r if off < _NO_ROTATION and np.linalg.det(matrix) > 0 else None


@lru_cache(maxsize=8)  # As many cameras of a process, at 10 bytes a pixel.
def rectification(lens: Lens, raw: Pinhole, view: View, width: int, height: int
                  ) -> Rectification | None:
    """
    Return the maps of a camera, made once for it; None where too little of the view was seen.

    :param raw: K at the pixels of the image that is sent, binning and region applied.
    :param width, height: of it, and of the rectified one.
    """
    source = _source(lens, raw, view, width, height)
    seen = _seen(source, view, _BORDER_PX)
    if seen.all():
        return _made(lens, raw, view, 1.0, source)
    window = _window(seen, view.pinhole)
    if window is None:
        return None
    zoom, left, top = window
    one = view.pinhole
    view = View(Pinhole(one.fx * zoom, one.fy * zoom, (one.cx + 0.5 - left) * zoom - 0.5,
                        (one.cy + 0.5 - top) * zoom - 0.5), view.rotation)
    source = _source(lens, raw, view, width, height)
    if not _seen(source, view, _BORDER_ZOOMED_PX).all():
        return None
    return _made(lens, raw, view, zoom, source)


def _made(lens: Lens, raw: Pinhole, view: View, zoom: float, source: np.ndarray
          ) -> Rectification:
    # Whole pixels and 1/32 of them: finer than any lens is calibrated.
    x, y = source[..., 0], source[..., 1]
    colours = cv2.convertMaps(x, y, cv2.CV_16SC2)
    nearest, _ = cv2.convertMaps(x, y, cv2.CV_16SC2, nninterpolation=True)
    per_raw = None
    if view.rotation != _IDENTITY:
        per_raw = (1.0 / _along_axis(view, source.shape[1], source.shape[0])).astype(np.float32)
    return Rectification(lens, raw, view, zoom, colours, nearest, per_raw)


def _source(lens: Lens, raw: Pinhole, view: View, width: int, height: int) -> np.ndarray:
    """Return where in the raw image each pixel of a view is from, float32 [H, W, 2]."""
    make = cv2.fisheye.initUndistortRectifyMap if lens.fisheye else cv2.initUndistortRectifyMap
    x, y = make(_matrix(raw), np.array(lens.coefficients), np.reshape(view.rotation, (3, 3)),
                _matrix(view.pinhole), (width, height), cv2.CV_32FC1)
    return np.stack((x, y), axis=-1)


def _along_axis(view: View, width: int, height: int) -> np.ndarray:
    """Return the raw depth of what has depth 1 in the view, float64 [H, W]."""
    one, back = view.pinhole, np.reshape(view.rotation, (3, 3)).T[2]
    x, y = (np.arange(width) - one.cx) / one.fx, (np.arange(height) - one.cy) / one.fy
    return back[0] * x[None, :] + back[1] * y[:, None] + back[2]


def _seen(source: np.ndarray, view: View, border_px: float) -> np.ndarray:
    """
    Return which pixels of a view have a source, bool [H, W], around its axis and in one piece.

    Where the polynomial of a lens turns back, far outside the image it was fitted to, it would
    show the image once more, mirrored: the map's determinant is below 0 there.
    """
    height, width = source.shape[:2]
    u, v = source[..., 0], source[..., 1]
    seen = ((u >= -border_px) & (u <= width - 1 + border_px)
            & (v >= -border_px) & (v <= height - 1 + border_px))
    if view.rotation != _IDENTITY:
        seen &= _along_axis(view, width, height) > 0
    with np.errstate(invalid='ignore', over='ignore'):
        right, down = np.diff(source, axis=1)[:-1], np.diff(source, axis=0)[:, :-1]
        turned = ~(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0] > 0)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            seen[rows, columns] &= ~turned
    _, piece = cv2.connectedComponents(seen.astype(np.uint8), connectivity=4)
    middle = piece[round(min(max(view.pinhole.cy, 0), height - 1)),
                   round(min(max(view.pinhole.cx, 0), width - 1))]
    return (piece == middle) & seen


def _window(seen: np.ndarray, pinhole: Pinhole) -> tuple[float, float, float] | None:
    """
    Return zoom, left and top edge of the largest part of a view that was seen, of its shape.

    None where there is none, or it would have to be zoomed too much.
    """
    height, width = seen.shape
    top, bottom, left, right = 0, height, 0, width
    missing = ~seen
    while bottom - top > height / LARGEST_ZOOM and right - left > width / LARGEST_ZOOM:
        sides = {'top': missing[top, left:right], 'bottom': missing[bottom - 1, left:right],
                 'left': missing[top:bottom, left], 'right': missing[top:bottom, right - 1]}
        worst = max(sides, key=lambda side: float(sides[side].mean()))
        if not sides[worst].any():
            break
        top, bottom = top + (worst == 'top'), bottom - (worst == 'bottom')
        left, right = left + (worst == 'left'), right - (worst == 'right')
    # An image of one row, none of which was seen, has none left.
    if missing[top:bottom, left:right].any() or not (top < bottom and left < right):
        return None
    zoom = max(width / (right - left), height / (bottom - top))
    if zoom > LARGEST_ZOOM:
        return None
    # As near to the middle of what was asked for as what was seen allows.
    across, down = width / zoom, height / zoom
    return (zoom, min(max((width - across) / 2, left), right - across),
            min(max((height - down) / 2, top), bottom - down))


def _matrix(pinhole: Pinhole) -> np.ndarray:
    return np.array([[pinhole.fx, 0.0, pinhole.cx], [0.0, pinhole.fy, pinhole.cy],
                     [0.0, 0.0, 1.0]])
