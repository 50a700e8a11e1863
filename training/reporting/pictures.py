# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Best and worst images of a result as rows of tiles: what the network says, and the truth."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
from emu_perception.errors import InputError
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
from emu_perception.visualization import default_palette, label_color, scalar_color
import numpy as np

from ..data.dataset_folder import DatasetError, DatasetFolder, training_fx
from ..data.unknown_camera import warn_of_camera
from ..evaluation.measuring import file_hash
from .results import finite, Result

Predict = Callable[[dict[str, Any], np.ndarray], Prediction]
TILE_WIDTH = 320
# Unit of each kind of map.
SCALES = {'entropy': 'nats', 'depth': 'm', 'sigma': 'm'}
# Metric of an image, its name, its unit, and whether higher is better.
CRITERIA = (('pixel_accuracy', 'pixel accuracy', '', True), ('rmse', 'RMSE', ' m', False))


@dataclass(frozen=True)
class Choice:
    """
    Images to draw under one heading.

    :ivar images: (stem, what is said of it).
    """

    heading: str
    images: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pictures:
    """
    Drawn images.

    :ivar tiles: by stem, (title, rgb8 HxWx3).
    :ivar ranges: upper ends of the colour scales, which start at 0: entropy in nats, depth and
        sigma in metres; only what was drawn.
    :ivar legend: (class name, rgb) of the classes that are seen.
    """

    choices: tuple[Choice, ...]
    tiles: dict[str, list[tuple[str, np.ndarray]]]
    ranges: dict[str, float]
    legend: tuple[tuple[str, tuple[int, int, int]], ...]


def checkpoint_predict(folder: DatasetFolder) -> Predict:
    """Return a function that runs a result's first checkpoint on the CPU; it loads it once."""
    loaded: dict[str, Predictor] = {}

    def predict(document: dict[str, Any], image: np.ndarray) -> Prediction:
        path = document['checkpoints'][0]
        if path not in loaded:
            loaded[path] = Predictor.load(path, 'cpu')
            warn_of_camera(folder, loaded[path].metadata)
        return loaded[path](image, fx=training_fx(folder, image))

    return predict


def missing_checkpoint(result: Result) -> str | None:
    """Return why the first checkpoint cannot be run, a clause; None where it is what it was."""
    path = str((result.document.get('checkpoints') or [''])[0])
    if not path:
        return 'names no checkpoint'
    if not Path(path).is_file():
        return f'names the checkpoint {path}, which is not there'
    hashes = result.document.get('sha256')
    if isinstance(hashes, list) and hashes and hashes[0] != file_hash(Path(path)):
        # Trained on, or anew: its pictures would stand beside another network's figures.
        return f'was measured on another checkpoint than {path} is now: evaluate it anew'
    return None


def choose(result: Result, count: int) -> list[Choice]:
    """
    Return the best and worst images by each criterion that was measured.

    :param count: of each; with few images the worst are those that are not among the best.
    """
    choices = []
    for key, name, unit, higher in CRITERIA:
        measured = [(str(row['stem']), value) for row in result.document.get('per_image') or ()
                    if (value := finite(row.get(key))) is not None]
        measured.sort(key=lambda item: -item[1] if higher else item[1])
        for word, picked in (('Best', measured[:count]),
                             ('Worst', measured[count:][::-1][:count])):
            if picked:
                choices.append(Choice(f'{word} by {name}', tuple(
                    (stem, f'{name} {value:.3f}{unit}') for stem, value in picked)))
    return choices


def draw(result: Result, folder: DatasetFolder, count: int, predict: Predict) -> Pictures:
    """
    Predict and colour the chosen images; scales are the same for all of them.

    :raises EmuError: if an image or a checkpoint cannot be used.
    """
    names = tuple(result.document.get('classes') or folder.classes)
    if folder.classes and names != folder.classes:
        raise DatasetError(f"{folder.root}/dataset.yaml: field 'classes' has not the classes of "
                           f'{result.file}')
    choices = choose(result, count)
    maps = {}
    for stem in sorted({stem for choice in choices for stem, _ in choice.images}):
        example = folder.example(stem)
        try:
            guess = predict(result.document, example.image)
        except InputError as error:
            raise DatasetError(f'{folder.image_path(stem)}: {error}') from error
        depth = example.depth
        truth = None if depth is None else np.where(depth > 0, depth, np.nan)
        maps[stem] = {name: _small(values) for name, values in (
            ('image', example.image), ('label', guess.label), ('true label', example.label),
            ('entropy', guess.segmentation_entropy), ('depth', guess.depth),
            ('true depth', truth), ('sigma', guess.depth_sigma)) if values is not None}
    ranges = {kind: top for kind, members in (
        ('entropy', ('entropy',)), ('depth', ('depth', 'true depth')), ('sigma', ('sigma',)))
        if (top := _top([tiles[name] for tiles in maps.values() for name in members
                         if name in tiles])) is not None}
    palette = folder.palette or (tuple(default_palette(len(names))) if names else ())
    tiles = {stem: [(name, _colored(name, values, palette, ranges))
                    for name, values in parts.items()] for stem, parts in maps.items()}
    seen = np.unique(np.concatenate([np.zeros(0, np.uint8), *(
        parts[name].ravel() for parts in maps.values() for name in ('label', 'true label')
        if name in parts)]))
    legend = tuple((names[index], tuple(palette[index])) for index in seen if index < len(names))
    return Pictures(tuple(choices), tiles, ranges, legend)  # type: ignore[arg-type]


def jpeg_uri(rgb: np.ndarray, quality: int = 85) -> str:
    """Return an rgb8 picture as the data URI of a JPEG."""
    encoded = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded.tobytes()).decode()


def _small(values: np.ndarray) -> np.ndarray:
    height, width = values.shape[:2]
    size = (TILE_WIDTH, max(1, round(height * TILE_WIDTH / width)))
    # Classes and metres are not averaged.
    kind = cv2.INTER_AREA if values.ndim == 3 and width > TILE_WIDTH else cv2.INTER_NEAREST
    return cv2.resize(values, size, interpolation=kind)


def _top(maps: list[np.ndarray]) -> float | None:
    values = np.concatenate([array[np.isfinite(array)] for array in maps]) if maps else np.empty(0)
    if not len(values):
        return None
    top = max(float(np.percentile(values, 99)), 1e-3)
    step = 10.0 ** math.floor(math.log10(top)) / 2.0
    # The tolerance keeps 0.2 of a float32 at 0.2; rounded, the scale does not print 0.7000001.
    return round(math.ceil(top / step - 1e-6) * step, 6)


def _colored(name: str, values: np.ndarray, palette: Any,
             ranges: dict[str, float]) -> np.ndarray:
    if name == 'image':
        return values
    if name.endswith('label'):
        return label_color(values, palette)
    kind = name.removeprefix('true ')
    return scalar_color(values, 0.0, ranges.get(kind, 1.0))
