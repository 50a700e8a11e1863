# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Risk thresholds: a percentile of the mean uncertainties of validation images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from emu_perception.checkpoint import Calibration
from emu_perception.predictor import Predictor
import numpy as np
from training.data.dataset_folder import DatasetFolder, training_fx

Means = tuple[float | None, float | None]

def image_means(predictor: Predictor, folder: DatasetFolder,
                stems: Iterable[str]) -> list[Means]:
    """
    Return mean entropy (nats) and mean sigma (m) of each image; None for a task it has not.

    They come from the predictor itself, the same function that the node's flag uses.
    """
    found: list[Means] = []
    for stem in stems:
        prediction = predictor(folder.image(stem), fx=training_fx(folder))
        found.append((prediction.mean_segmentation_entropy, prediction.mean_depth_sigma))
    return found


def limits(means: Sequence[Means], percentile: float) -> Means:
    """Return the percentile of each mean over the images: the risk thresholds."""
    entropy, sigma = (None if column[0] is None else
                      float(np.percentile(np.array(column, float), percentile))
                      for column in zip(*means))
    return entropy, sigma


def risk_thresholds(predictor: Predictor, folder: DatasetFolder, stems: Iterable[str],
                    percentile: float) -> Calibration:
    """
    Return the predictor's calibration with thresholds from images it was not trained on.

    :param percentile: share of these images, in percent, that stay below each threshold.
    """
    entropy, sigma = limits(image_means(predictor, folder, stems), percentile)
    return replace(predictor.metadata.calibration, risk_segmentation=entropy, risk_depth=sigma,
                   risk_percentile=percentile)
