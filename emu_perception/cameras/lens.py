# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a lens does to an image: the distortion models that ROS names, with their coefficients."""

from __future__ import annotations

from dataclasses import dataclass
import re

from emu_perception.cameras.calibration import CameraInfo

# Their images are distorted with all coefficients 0 too.
FISHEYES = ('equidistant', 'fisheye', 'kannala_brandt', 'kannala_brandt4')
# One polynomial, of which the first leaves terms out; radtan is Kalibr's name of it.
_POLYNOMIALS = ('plumb_bob', 'radtan', 'rational_polynomial')
# Without coefficients these are a pinhole's; of any other model nobody knows what 0 means.
_PINHOLES = (*_POLYNOMIALS, '', 'none', 'pinhole', 'perspective', 'no_distortion', 'brown_conrady',
             'inverse_brown_conrady', 'modified_brown_conrady')
# What OpenCV takes: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tau_x tau_y]]]].
_LENGTHS = (4, 5, 8, 12, 14)
_FISHEYE_LENGTH = 4


@dataclass(frozen=True)
class Lens:
    """
    A distortion that can be taken out.

    :ivar fisheye: whether it is the equidistant model, else the polynomial one.
    :ivar coefficients: in OpenCV's order, as many as it takes.
    """

    fisheye: bool
    coefficients: tuple[float, ...]


def distorts(info: CameraInfo) -> bool:
    """Tell whether the image as the lens gives it is no pinhole's, or may be none."""
    return any(info.d) or model_of(info) not in _PINHOLES


def model_of(info: CameraInfo) -> str:
    """Return the name of the model, however it is written: Kannala-Brandt is kannala_brandt."""
    return re.sub(r'[\s-]+', '_', info.distortion_model.strip().lower())


def lens_of(info: CameraInfo) -> Lens | str:
    """Return the lens of a calibration, or in words why its distortion cannot be taken out."""
    model, d = model_of(info), info.d
    if model in FISHEYES:
        # Some drivers write a fifth, which is 0.
        if any(d[_FISHEYE_LENGTH:]) or 0 < len(d) < _FISHEYE_LENGTH:
            return f'{len(d)} coefficients, {model} has {_FISHEYE_LENGTH}'
        return Lens(True, (*d, *(0.0,) * _FISHEYE_LENGTH)[:_FISHEYE_LENGTH])
    if model not in _POLYNOMIALS:
        return (f"the model '{model}', which is not known here "
                f'({", ".join((*_POLYNOMIALS, *FISHEYES))} are)')
    if len(d) not in _LENGTHS:
        return f'{len(d)} coefficients, {model} has {", ".join(map(str, _LENGTHS))}'
    return Lens(False, d)
