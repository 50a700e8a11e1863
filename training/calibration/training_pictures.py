# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures to fit scores to: training images as they are, in views, and in every trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
import zlib

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.corruptions import BREAKS, CORRUPTIONS, FAULTS, MILD, MOVED, SEVERITIES
import numpy as np

from ..data.augmentation import focal_in_views, random_view
from ..data.dataset_folder import DatasetFolder, Example, training_focal
from ..recipes.sections import AugmentationRecipe

Border = tuple[int, int, int, int]
CLEAN, VIEW = 'clean', 'view'
# Photographs that are no rooms are kept for measuring: nothing is fitted to them.
FITTED_BREAKS = ('upside_down', 'jigsaw')
# Nearer, turned and in other light, as the network was trained.
_VIEW = AugmentationRecipe(scale=(1.0, 1.6), color_jitter=0.3)


@dataclass(frozen=True)
class Picture:
    """
    An image with its truth, as something has changed it.

    :ivar kind: 'clean', 'view' or a name of the ruler.
    :ivar severity: 1 to 5 of a corruption, else 0.
    :ivar focal: length in widths of the image; None = unknown.
    """

    example: Example
    kind: str
    severity: int
    focal: float | None


def border_of(metadata: CheckpointMetadata) -> Border:
    """Return the frame round the training images: rows at top, bottom, columns left, right."""
    recipe = metadata.provenance.get('recipe') or {}
    top, bottom, left, right = (recipe.get('augmentation') or {}).get('border') or (0, 0, 0, 0)
    return int(top), int(bottom), int(left), int(right)


def without_border(example: Example, border: Border) -> Example:
    """Return an example without the frame round it: a robot's camera has none."""
    top, bottom, left, right = border
    height, width = example.image.shape[:2]

    def inside(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[top:height - bottom, left:width - right])
    return Example(example.stem, inside(example.image),
                   None if example.label is None else inside(example.label),
                   None if example.depth is None else inside(example.depth))


def clean_picture(folder: DatasetFolder, stem: str, border: Border) -> Picture:
    """Return an image of a data set as a camera without a frame gives it."""
    whole = folder.example(stem)
    example = without_border(whole, border)
    focal = training_focal(folder)
    if focal is not None:
        focal *= whole.image.shape[1] / example.image.shape[1]
    return Picture(example, CLEAN, 0, focal)


def generator(stem: str, kind: str, severity: int = 0) -> np.random.Generator:
    """Return the generator of one picture: the same in every run, and for image and truth."""
    name = f'{stem} {kind}'.encode(errors='surrogateescape')  # A stem may be no UTF-8.
    return np.random.default_rng([zlib.crc32(name), severity])


def changed(clean: Picture, kind: str, severity: int = 0) -> Picture:
    """
    Return a clean picture in one kind of the ruler, its truth moved along where the image is.

    :param kind: a name of ``CORRUPTIONS`` (with a severity), ``BREAKS``, ``FAULTS`` or ``MILD``.
    """
    example = clean.example

    def change(values: np.ndarray) -> np.ndarray:
        rng = generator(example.stem, kind, severity)
        if kind in CORRUPTIONS:
            return CORRUPTIONS[kind](values, severity, rng)
        function: Callable[..., np.ndarray] = {**BREAKS, **FAULTS, **MILD}[kind]
        return function(values, rng)
    moved = replace(example, image=change(example.image))
    if kind in MOVED:
        moved = replace(moved, label=None if example.label is None else change(example.label),
                        depth=None if example.depth is None else change(example.depth))
    return Picture(moved, kind, severity, clean.focal)


def focal_of_views(folder: DatasetFolder, metadata: CheckpointMetadata) -> float | None:
    """
    Return the focal length of views of a folder in widths, None where a camera is not known.

    At scale 1 a view shows a whole image, and its depth is divided by any other scale. A view of
    the training camera is what the network has learned from, letterboxed or not: it is at its
    metres.
    """
    camera, trained = folder.intrinsics, metadata.intrinsics
    if camera is None or trained is None:
        return None
    ratio = (focal_in_views(camera, metadata.input_size)
             / focal_in_views(trained, metadata.input_size))
    return trained.fx / trained.width * ratio


def training_pictures(folder: DatasetFolder, stems: Sequence[str], metadata: CheckpointMetadata,
                      corrupted: int) -> Iterator[Picture]:
    """
    Yield each image as it is, in a random view, corrupted, broken and mildly changed.

    :param corrupted: so many kinds at a severity for each image, drawn alike.
    """
    border, view_focal = border_of(metadata), focal_of_views(folder, metadata)
    cells = [(kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES]
    mild = list(MILD)
    for i, stem in enumerate(stems):
        clean = clean_picture(folder, stem, border)
        yield clean
        rng = generator(stem, VIEW)
        view = random_view(folder.example(stem), metadata.input_size,
                           replace(_VIEW, border=border, border_probability=1.0), rng)
        yield Picture(view, VIEW, 0, view_focal)
        for cell in rng.choice(len(cells), min(corrupted, len(cells)), replace=False):
            yield changed(clean, *cells[int(cell)])
        yield changed(clean, FITTED_BREAKS[i % len(FITTED_BREAKS)])
        yield changed(clean, mild[i % len(mild)])
