# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Other lenses and sensors, made from an image whose truth is known: one row each.

A lens is a part of the image: a longer one sees less of the room, at another place on its sensor
where the optical axis is off centre. No wider one can be made from what was not seen. A sensor
changes colours, noise and sharpness, not the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
from emu_perception.corruptions.levels import as_image, normal
from emu_perception.corruptions.sensor import at_resolution, jpeg_coded
import numpy as np

from ..data.dataset_folder import Example

Sensor = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _same(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rgb


@dataclass(frozen=True)
class CameraView:
    """
    A camera.

    :ivar zoom: focal length as a multiple of the real one's.
    :ivar place: (down, right) of the part that is seen, 0 to 1; (0.5, 0.5) is the middle.
    :ivar enlarged: whether the part is brought to the whole image's size, which blurs it; else its
        pixels stay as they are, fewer of them.
    :ivar sensor: what it makes of rgb uint8 [H, W, 3].
    """

    zoom: float = 1.0
    place: tuple[float, float] = (0.5, 0.5)
    enlarged: bool = True
    sensor: Sensor = _same

    def seen(self, example: Example, rng: np.random.Generator) -> Example:
        """
        Return the image as this camera gives it, its truth moved along.

        Its focal length in units of its width is ``zoom`` times the real one's.
        """
        height, width = example.image.shape[:2]
        size = round(height / self.zoom), round(width / self.zoom)
        top, left = (round((whole - part) * share) for whole, part, share in zip(
            (height, width), size, self.place))
        window = slice(top, top + size[0]), slice(left, left + size[1])
        target = (height, width) if self.enlarged else size

        def part(values: np.ndarray | None, how: int) -> np.ndarray | None:
            if values is None or size == (height, width):
                return values
            values = np.ascontiguousarray(values[window])
            return values if target == size else cv2.resize(values, target[::-1],
                                                            interpolation=how)
        image = part(example.image, cv2.INTER_CUBIC)
        assert image is not None
        # Truth is never mixed across an edge.
        return Example(example.stem, self.sensor(image, rng),
                       part(example.label, cv2.INTER_NEAREST),
                       part(example.depth, cv2.INTER_NEAREST))


def _gamma(exponent: float) -> Sensor:
    return lambda rgb, _: as_image(255.0 * (rgb / 255.0) ** exponent)


def _white_balance(red: float, blue: float) -> Sensor:
    return lambda rgb, _: as_image(rgb * np.array([red, 1.0, blue]))


def _grey(rgb: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _read_noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return as_image(rgb + normal(rng, rgb.shape, 8.0))


def _sharpened(rgb: np.ndarray, _: np.random.Generator) -> np.ndarray:
    values = rgb.astype(np.float32)
    return as_image(values + 1.5 * (values - cv2.GaussianBlur(values, (0, 0), 1.5)))


CAMERA_VIEWS: Mapping[str, CameraView] = MappingProxyType({
    'as it is': CameraView(),
    'lens x 1.3': CameraView(1.3),
    'lens x 1.7': CameraView(1.7),
    'lens x 2.3': CameraView(2.3),
    'lens x 1.7, as sharp': CameraView(1.7, enlarged=False),
    'lens x 1.3, axis high': CameraView(1.3, (0.0, 0.5)),
    'lens x 1.3, axis low': CameraView(1.3, (1.0, 0.5)),
    'lens x 1.5, axis aside': CameraView(1.5, (0.5, 0.0)),
    'gamma 0.7': CameraView(sensor=_gamma(0.7)),
    'gamma 1.5': CameraView(sensor=_gamma(1.5)),
    'white balance warm': CameraView(sensor=_white_balance(1.2, 0.75)),
    'white balance cold': CameraView(sensor=_white_balance(0.8, 1.2)),
    'grey': CameraView(sensor=_grey),
    'read noise': CameraView(sensor=_read_noise),
    'sharpened': CameraView(sensor=_sharpened),
    'JPEG 30': CameraView(sensor=lambda rgb, _: jpeg_coded(rgb, 30)),
    'a third of the resolution': CameraView(sensor=lambda rgb, _: at_resolution(rgb, 3.0)),
})
