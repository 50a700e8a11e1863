# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of the paper: random scale, crop and flip, the same for image, label and depth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
from emu_perception.preprocessing import resized_image
import numpy as np
from training.data.dataset_folder import IGNORE, Sample
from training.recipe import AugmentationRecipe

Resize = Callable[[np.ndarray, tuple[int, int]], np.ndarray]


def random_view(sample: Sample, size: tuple[int, int], recipe: AugmentationRecipe,
                rng: np.random.Generator, whole: tuple[int, int] | None = None,
                in_pixels: bool = False) -> Sample:
    """
    Cut a random view out of a sample.

    The whole image at scale 1 fits ``whole``; a view at scale s shows it s times larger. Where the
    view is larger than the image the rest is padded: label 255, depth invalid, no instance, image
    its own mean colour. Only what is seen is resized.

    :param size: (height, width) of the view.
    :param rng: the only source of randomness.
    :param whole: None = ``size``: at scale 1 a view is the whole image.
    :param in_pixels: inverse depths are disparities: in pixels of the view, then.
    :return: the view; depth divided by s under the policy ``divide``, since a camera of the same
        focal length that sees an object s times larger is s times nearer. Inverse depth is
        multiplied by s, as disparity grows with the image.
    """
    image, label, depth = sample.image, sample.label, sample.depth
    inverse, instance = sample.inverse, sample.instance
    base = base_scale(image.shape[:2], whole or size)
    if rng.random() < recipe.border_probability:
        top, bottom, left, right = recipe.border
        window = (slice(top, image.shape[0] - bottom), slice(left, image.shape[1] - right))
        image = image[window]
        label = None if label is None else label[window]
        depth = None if depth is None else depth[window]
        inverse = None if inverse is None else inverse[window]
        instance = None if instance is None else instance[window]
    # Uniform in the logarithm: zooming in and out by a factor are equally frequent.
    scale = float(np.exp(rng.uniform(*np.log(recipe.scale))))
    pixels = base * scale
    seen = [min(side, max(1, round(target / pixels)))
            for side, target in zip(image.shape[:2], size)]
    target = [min(full, max(1, round(part * pixels))) for part, full in zip(seen, size)]
    start = [int(rng.integers(0, side - part + 1)) for side, part in zip(image.shape[:2], seen)]
    place = [int(rng.integers(0, full - part + 1)) for full, part in zip(size, target)]
    flip = rng.random() < recipe.flip_probability
    crop = (slice(start[0], start[0] + seen[0]), slice(start[1], start[1] + seen[1]))
    paste = (slice(place[0], place[0] + target[0]), slice(place[1], place[1] + target[1]))

    def view(values: np.ndarray, fill: float | np.ndarray, resize: Resize) -> np.ndarray:
        resized = resize(values[crop], (target[0], target[1]))
        out = np.empty((*size, *values.shape[2:]), values.dtype)
        out[...] = fill
        out[paste] = resized
        return np.ascontiguousarray(out[:, ::-1]) if flip else out

    picture = view(image, image.mean(axis=(0, 1)).astype(np.uint8), resized_image)
    if recipe.color_jitter > 0:
        picture = jittered(picture, recipe.color_jitter, rng)
    if depth is not None:
        depth = view(depth, 0.0, nearest)
        if recipe.depth_scale_policy == 'divide':
            # The scale that was really applied, after rounding to whole pixels.
            depth = depth * np.float32(base * seen[1] / target[1])
    if inverse is not None:
        inverse = view(inverse, -1.0, nearest)
        larger = target[1] / seen[1] / base if recipe.depth_scale_policy == 'divide' else 1.0
        # Unknown stays negative, the sky 0.
        inverse = inverse * np.float32(larger * (base if in_pixels else 1.0))
    if label is not None:
        label = view(label, IGNORE, nearest)
    if instance is not None:
        instance = view(instance, 0, nearest)
    return Sample(sample.stem, picture, label, depth, inverse, instance)


def nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a map at ``size`` (height, width): classes and depths cannot be averaged."""
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST)


def base_scale(image_size: tuple[int, ...], whole: tuple[int, int]) -> float:
    """Return the scale in pixels at which an image fits ``whole``."""
    return min(whole[0] / image_size[0], whole[1] / image_size[1])


def jittered(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """
    Change brightness, contrast and saturation, each by a factor of 1 ± strength.

    The three are one affine map of the colours, so one pass over the picture does them.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    grey = np.array([0.299, 0.587, 0.114])
    matrix = saturation * np.eye(3) + (1 - saturation) * grey[None]
    # Contrast turns about the picture's mean grey.
    middle = float(image.mean(axis=(0, 1)) @ grey)
    matrix = brightness * contrast * matrix
    shift = np.full((3, 1), brightness * (1 - contrast) * middle)
    return cv2.transform(image, np.hstack([matrix, shift]))
