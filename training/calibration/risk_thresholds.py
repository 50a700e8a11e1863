# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Risk thresholds: a percentile of each score of validation images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from emu_perception.checkpoint import Calibration, FittedThreshold
from emu_perception.predictor import Predictor
from emu_perception.scores import fitted_scores
import numpy as np

from ..data.dataset_folder import DatasetFolder, training_fx

# Of one image, by name of the score.
Scores = Mapping[str, float]


def image_scores(predictor: Predictor, folder: DatasetFolder,
                 stems: Iterable[str]) -> list[Scores]:
    """
    Return the scores of each image.

    They come from the predictor itself, the same function that the node's flag uses.
    """
    return [predictor(folder.image(stem), fx=training_fx(folder)).scores for stem in stems]


def limits(scores: Sequence[Scores], percentile: float) -> dict[str, float]:
    """Return the percentile of each score over the images, which all have the same ones."""
    return {name: float(np.percentile([own[name] for own in scores], percentile))
            for name in scores[0]}


def judged(scores: Scores, tasks: Iterable[str]) -> Scores:
    """Return those of an image's scores that get a threshold."""
    return {row.name: scores[row.name] for row in fitted_scores(tuple(tasks))}


def with_thresholds(calibration: Calibration, scores: Sequence[Scores], percentile: float,
                    data_set: str, split: str) -> Calibration:
    """
    Return a calibration with thresholds in place of any that it had.

    :param scores: of images the network was not trained on, those that get a threshold.
    :param percentile: share of these images, in percent, that stay below each threshold.
    """
    return with_limits(calibration, limits(scores, percentile), percentile, data_set, split,
                       len(scores))


def with_limits(calibration: Calibration, values: Mapping[str, float], percentile: float,
                data_set: str, split: str, images: int) -> Calibration:
    """Return a calibration with these thresholds, by name, in place of any that it had."""
    fitted_on = {'data_set': data_set, 'split': split, 'images': images}
    return replace(calibration, scores={
        name: FittedThreshold(limit, percentile, fitted_on) for name, limit in values.items()})


def risk_thresholds(predictor: Predictor, folder: DatasetFolder, split: str,
                    stems: Iterable[str], percentile: float) -> Calibration:
    """
    Return the predictor's calibration with thresholds from images it was not trained on.

    :param stems: of the split.
    """
    metadata = predictor.metadata
    scores = [judged(own, metadata.tasks) for own in image_scores(predictor, folder, stems)]
    return with_thresholds(metadata.calibration, scores, percentile, folder.name, split)
