# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of the paper: random scale, crop and flip, the same for image, label and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
from emu_perception.corruptions import corrupted, SEVERITIES
from emu_perception.intrinsics import Intrinsics
from emu_perception.preprocessing import resized_image
import numpy as np

from ..recipes.options import RecipeError
from ..recipes.sections import AugmentationRecipe
from .dataset_folder import Example, IGNORE

Resize = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
# The parts of a packed view, each with how many numbers it has.
PACKED = {'start': 2, 'seen': 2, 'place': 2, 'target': 2, 'depth_factor': 1, 'borderless': 1,
          'flip': 1, 'jitter': 3}
# Weights of red, green and blue in grey (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class View:
    """
    Which part of an image a view shows, where and how: drawn once, cut by any means.

    Pairs are (row, column) or (height, width).

    :ivar start: the first pixel that is seen, in the whole image.
    :ivar seen: the size of the part that is seen, in pixels of the image.
    :ivar place: where that part begins in the view.
    :ivar target: its size there.
    :ivar base: the scale in pixels at which the whole image fits.
    :ivar borderless: the border is cut off.
    :ivar flip: left for right.
    :ivar jitter: factors of brightness, contrast and saturation; None = colours as they are.
    """

    start: tuple[int, int]
    seen: tuple[int, int]
    place: tuple[int, int]
    target: tuple[int, int]
    base: float
    borderless: bool
    flip: bool
    jitter: tuple[float, float, float] | None = None

    @property
    def depth_factor(self) -> float:
        """Return 1 / the scale that was really applied, after rounding to whole pixels."""
        return self.base * self.seen[1] / self.target[1]

    def packed(self) -> np.ndarray:
        """Return all of it as float64 [14], whose parts ``PACKED`` names."""
        return np.array([*self.start, *self.seen, *self.place, *self.target, self.depth_factor,
                         self.borderless, self.flip, *(self.jitter or (1.0, 1.0, 1.0))])


def draw_view(image_size: tuple[int, ...], size: tuple[int, int], recipe: AugmentationRecipe,
              rng: np.random.Generator, whole: tuple[int, int] | None = None) -> View:
    """
    Draw a random view of an image.

    :param image_size: (height, width) of the image.
    :param size: (height, width) of the view.
    :param rng: the only source of randomness.
    :param whole: the whole image at scale 1 fits it; None = ``size``.
    :raises RecipeError: if nothing of the image is within the recipe's border.
    """
    base = base_scale(image_size, whole or size)
    top, bottom, left, right = recipe.border
    borderless = bool(rng.random() < recipe.border_probability)
    height, width = image_size[:2]
    if borderless and (top + bottom >= height or left + right >= width):
        raise RecipeError(f"field 'augmentation.border' is {list(recipe.border)}, of which an "
                          f'image of {height}x{width} has nothing left: give less')
    corner, sides = ((top, left), (height - top - bottom, width - left - right)) if borderless \
        else ((0, 0), (height, width))
    # Uniform in the logarithm: zooming in and out by a factor are equally frequent.
    scale = float(np.exp(rng.uniform(*np.log(recipe.scale))))
    pixels = base * scale
    seen = [min(side, max(1, round(target / pixels))) for side, target in zip(sides, size)]
    target = [min(full, max(1, round(part * pixels))) for part, full in zip(seen, size)]
    start = [int(rng.integers(0, side - part + 1)) for side, part in zip(sides, seen)]
    place = [int(rng.integers(0, full - part + 1)) for full, part in zip(size, target)]
    flip = bool(rng.random() < recipe.flip_probability)
    jitter = None
    if recipe.color_jitter > 0:
        low, high = 1 - recipe.color_jitter, 1 + recipe.color_jitter
        brightness, contrast, saturation = rng.uniform(low, high, 3)
        jitter = (float(brightness), float(contrast), float(saturation))
    return View((corner[0] + start[0], corner[1] + start[1]), (seen[0], seen[1]),
                (place[0], place[1]), (target[0], target[1]), base, borderless, flip, jitter)


def random_view(example: Example, size: tuple[int, int], recipe: AugmentationRecipe,
                rng: np.random.Generator, whole: tuple[int, int] | None = None,
                in_pixels: bool = False) -> Example:
    """
    Cut a random view out of an example.

    The whole image at scale 1 fits ``whole``; a view at scale s shows it s times larger. Where the
    view is larger than the image the rest is padded: label 255, depth invalid, no instance, image
    its own mean colour. Only what is seen is resized.

    :param size: (height, width) of the view.
    :param rng: the only source of randomness.
    :param whole: None = ``size``: at scale 1 a view is the whole image.
    :param in_pixels: inverse depths are disparities: in pixels of an image as wide as ``whole``.
    :return: the view; depth divided by s under the policy ``divide``, since a camera of the same
        focal length that sees an object s times larger is s times nearer. Inverse depth is
        multiplied by s, as disparity grows with the image.
    """
    drawn = draw_view(example.image.shape[:2], size, recipe, rng, whole)
    start, seen, place, target = drawn.start, drawn.seen, drawn.place, drawn.target
    crop = (slice(start[0], start[0] + seen[0]), slice(start[1], start[1] + seen[1]))
    paste = (slice(place[0], place[0] + target[0]), slice(place[1], place[1] + target[1]))

    def view(values: np.ndarray, fill: float | np.ndarray, resize: Resize) -> np.ndarray:
        resized = resize(values[crop], target)
        out = np.empty((*size, *values.shape[2:]), values.dtype)
        out[...] = fill
        out[paste] = resized
        return np.ascontiguousarray(out[:, ::-1]) if drawn.flip else out

    label, depth = example.label, example.depth
    inverse, instance = example.inverse, example.instance
    border = recipe.border if drawn.borderless else None
    picture = view(example.image, mean_color(example.image, border), resized_image)
    if drawn.jitter is not None:
        picture = jittered(picture, drawn.jitter)
    if recipe.corruption_probability > 0 and rng.random() < recipe.corruption_probability:
        picture = in_trouble(picture, recipe.corruption_kinds, rng)
    divide = recipe.depth_scale_policy == 'divide'
    if depth is not None:
        depth = view(depth, 0.0, nearest)
        if divide:
            depth = depth * np.float32(drawn.depth_factor)
    if inverse is not None:
        inverse = view(inverse, -1.0, nearest)
        larger = target[1] / seen[1] / drawn.base if divide else 1.0
        # Not base: where an image is of another aspect it is letterboxed here, and stretched
        # where it is validated and on the robot, whose pixels these are to be.
        pixels = (whole or size)[1] / example.image.shape[1] if in_pixels else 1.0
        # Unknown stays negative, the sky 0.
        inverse = inverse * np.float32(larger * pixels)
    if label is not None:
        label = view(label, IGNORE, nearest)
    if instance is not None:
        instance = view(instance, 0, nearest)
    return Example(example.stem, picture, label, depth, inverse, instance)


def in_trouble(image: np.ndarray, kinds: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Return an image as a camera in one kind of trouble gives it, slight or severe."""
    kind = kinds[int(rng.integers(len(kinds)))]
    return corrupted(image, kind, float(rng.uniform(SEVERITIES[0], SEVERITIES[-1])), rng)


def mean_color(image: np.ndarray, border: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """
    Return the mean colour of an image, uint8 [3]: what its views are padded with.

    :param border: rows at top and bottom, columns at left and right that do not count.
    """
    if border is not None:
        top, bottom, left, right = border
        image = image[top:image.shape[0] - bottom, left:image.shape[1] - right]
    return np.array(cv2.mean(image)[:3]).astype(np.uint8)


def nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a map at ``size`` (height, width): classes and depths cannot be averaged."""
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST)


def base_scale(image_size: tuple[int, ...], whole: tuple[int, int]) -> float:
    """Return the scale in pixels at which an image fits ``whole``."""
    return min(whole[0] / image_size[0], whole[1] / image_size[1])


def focal_in_views(camera: Intrinsics, whole: tuple[int, int]) -> float:
    """
    Return a camera's focal length in pixels of its views, whatever their scale.

    At scale 1 an image fits ``whole``, with a border where it is of another aspect; depths are
    divided by any other scale.
    """
    return camera.fx * base_scale((camera.height, camera.width), whole)


def jittered(image: np.ndarray, factors: tuple[float, float, float]) -> np.ndarray:
    """
    Multiply brightness, contrast and saturation, each by its factor.

    The three are one affine map of the colours, so one pass over the picture does them.
    """
    brightness, contrast, saturation = factors
    grey = np.array(GREY)
    matrix = saturation * np.eye(3) + (1 - saturation) * grey[None]
    # Contrast turns about the picture's mean grey.
    # OpenCV's mean: the very numbers of NumPy's, which takes as long as all else of a view.
    middle = float(np.array(cv2.mean(image)[:3]) @ grey)
    matrix = brightness * contrast * matrix
    shift = np.full((3, 1), brightness * (1 - contrast) * middle)
    return cv2.transform(image, np.hstack([matrix, shift]))
