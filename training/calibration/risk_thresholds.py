# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Risk thresholds: a percentile of each score of validation images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
import logging
import math

from emu_perception.checkpoint import Calibration, FittedThreshold
from emu_perception.errors import InputError
from emu_perception.familiarity.joint_threshold import LEAST
from emu_perception.pictures import check_image
from emu_perception.predictor import Predictor
from emu_perception.scores import fitted_scores
import numpy as np

from ..data.dataset_folder import DatasetFolder, training_fx

LOGGER = logging.getLogger('training')
# Of one image, by name of the score.
Scores = Mapping[str, float]
_OF_SIGMA = ('depth_sigma', 'relative_depth_sigma')


def image_scores(predictor: Predictor, folder: DatasetFolder,
                 stems: Iterable[str]) -> dict[str, Scores]:
    """
    Return the scores of each image, by stem.

    They come from the predictor itself, the same function that the node's flag uses. Images that
    it refuses on a robot, such as a strip, are left out with a warning: after a training's hours
    one of them is no reason to have no checkpoint.
    """
    found = {}
    for stem in stems:
        image = folder.image(stem)
        try:
            check_image(image)
        except InputError as error:
            LOGGER.warning('%s: has no part in the risk thresholds: %s', folder.image_path(stem),
                           error)
            continue
        found[stem] = predictor(image, fx=training_fx(folder, image)).scores
    return found


def limits(scores: Sequence[Scores], percentile: float) -> dict[str, float]:
    """
    Return the percentile of each score over the images, which all have the same ones.

    A score that is 0 on them all, as the entropy of a single class, has a threshold just above.
    """
    return {name: float(np.maximum(LEAST, np.percentile([own[name] for own in scores],
                                                        percentile)))
            for name in (scores[0] if scores else ())}


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


def too_few(images: int, percentile: float) -> int:
    """Return how many images it takes for a percentile of more than the largest; 0: no more."""
    # Rounded: 1 - 90 / 100 is less than a tenth, and ten images were called few.
    needed = 0 if percentile >= 100 else math.ceil(round(100 / (100 - percentile), 6))
    return needed if images < needed else 0


def older_limits(new: Calibration, old: Calibration, images: int) -> dict[str, FittedThreshold]:
    """
    Return the thresholds of an older calibration that are of more images, for the new constants.

    A mean of sigma grows as sigma does. What a new temperature makes of an entropy is not known
    without the images, so the lower of both is taken.

    :param images: that the new thresholds are of.
    """
    factor = math.sqrt(new.variance_scale / old.variance_scale)
    found = {}
    for name, fitted in old.scores.items():
        if name not in new.scores or _images(fitted) <= images:
            continue
        threshold = fitted.threshold * (factor if name in _OF_SIGMA else 1.0)
        if name not in _OF_SIGMA and new.temperature != old.temperature:
            threshold = min(threshold, new.scores[name].threshold)
        found[name] = replace(fitted, threshold=threshold)
    return found


def _images(fitted: FittedThreshold) -> int:
    images = fitted.fitted_on.get('images')
    return images if isinstance(images, int) else 0


def risk_thresholds(predictor: Predictor, folder: DatasetFolder, split: str,
                    stems: Iterable[str], percentile: float) -> Calibration:
    """
    Return the predictor's calibration with thresholds from images it was not trained on.

    :param stems: of the split.
    """
    metadata = predictor.metadata
    scores = [judged(own, metadata.tasks)
              for own in image_scores(predictor, folder, stems).values()]
    return with_thresholds(metadata.calibration, scores, percentile, folder.name, split)
