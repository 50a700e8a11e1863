# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the numbers of a calibration can be those of the camera that took an image."""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.cameras.calibration import CameraInfo, RegionOfInterest
from emu_perception.cameras.pinhole import Pinhole

FIELD_OF_VIEW_DEG = (15.0, 150.0)
_LARGEST_STRETCH = 0.1
# Where the principal point lies, as shares of the image's width and height. It is rarely more than
# .03 from the middle: of a calibration for half the resolution it lies at .25, .25, of one for
# 640x480 at 1280x720 at .25, .33, of one for twice the resolution at 1, 1, give or take that much.
_MIDDLE_HALF = (0.25, 0.75)
_FAR_OFF = 0.1  # No lens is mounted so far off in both directions.
_HALF_RESOLUTION = 0.27  # A share below this, and the other far off the same way.


@dataclass(frozen=True)
class Remark:
    """
    What is wrong with or odd about a calibration.

    :ivar code: of which kind that is, the same whatever the numbers: to say each kind once.
    :ivar text: one line that names field and value, and what to do.
    """

    code: str
    text: str

    def about(self, what: str) -> Remark:
        """Return it with the name of the calibration before its text."""
        return Remark(self.code, f'{what} {self.text}')


def implausible(pinhole: Pinhole, info: CameraInfo, width: int, height: int, name: str = ''
                ) -> Remark | None:
    """
    Say why this cannot be the camera of an image, or None.

    :param pinhole: at the pixels of the image.
    :param info: its binning and region of interest: a part of the sensor has its principal point
        anywhere, so that this is looked for on the whole of it; and pixels that are binned in one
        direction alone may be oblong.
    :param name: of the matrix, where it has to be told from the other.
    """
    return (_misplaced(pinhole, info, width, height, name) or _stretched(pinhole, info, name)
            or _unseen(pinhole, width, height, name))


def suspicious(pinhole: Pinhole, info: CameraInfo, width: int, height: int, name: str = ''
               ) -> list[Remark]:
    """Return what is odd about a plausible camera; parameters as of :func:`implausible`."""
    whole, size = _on_sensor(pinhole, info, width, height)
    if not _both_far_off(whole, size):
        return []
    return [Remark(
        'other_resolution', f'may be of another resolution: {_placed(whole, size, name)} as in '
        f'the middle of {_size_of(whole)}, and depth would be off by as much: calibrate at the '
        'resolution that is sent')]


def _misplaced(pinhole: Pinhole, info: CameraInfo, width: int, height: int, name: str
               ) -> Remark | None:
    whole, size = _on_sensor(pinhole, info, width, height)
    x, y = whole.center_shares(*size)
    low, high = _MIDDLE_HALF
    other_resolution = _both_far_off(whole, size)
    if low < x < high and low < y < high and not (
            other_resolution and min(x, y) < _HALF_RESOLUTION):
        return None
    found = f'is not plausible: {_placed(whole, size, name)}'
    if other_resolution:
        return Remark('other_resolution', f'{found} as in the middle of {_size_of(whole)}, which '
                      'is another resolution: calibrate at the one that is sent, or have the '
                      'driver scale K and P to it')
    return Remark('off_center', f'{found} outside its middle half: calibrate again, or have the '
                  'driver set the region of interest (roi) of an image that is cut out')


def _both_far_off(pinhole: Pinhole, size: tuple[int, int]) -> bool:
    """Tell whether the principal point is that of an image of another resolution."""
    x, y = pinhole.center_shares(*size)
    return 0 < min(x, y) and max(x, y) < 0.5 - _FAR_OFF or min(x, y) > 0.5 + _FAR_OFF


def _stretched(pinhole: Pinhole, info: CameraInfo, name: str) -> Remark | None:
    binning_x, binning_y = info.binning
    if abs(pinhole.fx * binning_x / (pinhole.fy * binning_y) - 1) < _LARGEST_STRETCH:
        return None
    return Remark('stretched', f'is not plausible: {_focal(pinhole, name)} differ by more than a '
                  'tenth: calibrate again, or send the image unstretched')


def implausible_view(pinhole: Pinhole, width: int, height: int) -> str:
    """Return in words how much an image would show that no camera does; '' where one may."""
    # Along the longer side: a strip of an image is as good as the whole.
    angle = max(math.degrees(2 * math.atan2(side, 2 * focal))
                for side, focal in ((width, pinhole.fx), (height, pinhole.fy)))
    low, high = FIELD_OF_VIEW_DEG
    if low <= angle <= high:
        return ''
    return f'a field of view of {angle:.3g} degrees, not of {low:g} to {high:g}'


def _unseen(pinhole: Pinhole, width: int, height: int, name: str) -> Remark | None:
    found = implausible_view(pinhole, width, height)
    return Remark(
        'field_of_view', f'is not plausible: {_focal(pinhole, name)} at {width}x{height} are '
        f'{found}: give the focal length in pixels of the image that is sent') if found else None


def _on_sensor(pinhole: Pinhole, info: CameraInfo, width: int, height: int
               ) -> tuple[Pinhole, tuple[int, int]]:
    """Return a camera and its size (width, height), of the whole sensor where a part is sent."""
    if info.roi == RegionOfInterest(do_rectify=info.roi.do_rectify):
        return pinhole, (width, height)
    (binning_x, binning_y), roi = info.binning, info.roi
    whole = Pinhole(pinhole.fx * binning_x, pinhole.fy * binning_y,
                    pinhole.cx * binning_x + roi.x_offset, pinhole.cy * binning_y + roi.y_offset)
    return whole, (info.width, info.height)


def _placed(pinhole: Pinhole, size: tuple[int, int], name: str) -> str:
    return (f'principal point cx {pinhole.cx:g}, cy {pinhole.cy:g}{name and " of "}{name} lies in '
            f'{size[0]}x{size[1]}')


def _size_of(pinhole: Pinhole) -> str:
    """Return the size of the image whose middle the principal point is, to a pixel."""
    return f'{2 * pinhole.cx + 0.5:.0f}x{2 * pinhole.cy + 0.5:.0f}'


def _focal(pinhole: Pinhole, name: str) -> str:
    return f'fx {pinhole.fx:g} and fy {pinhole.fy:g}{name and " of "}{name}'
