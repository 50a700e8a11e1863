# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a reduced precision costs: accuracy and calibration beside the time."""

from __future__ import annotations

from collections.abc import Sequence
import logging
import math
import sys

from emu_perception.checkpoint import load_answering
from emu_perception.errors import InputError
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.precisions import DTYPES
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track
import torch

from .arguments.precision import parser
from .command_line import check_counts, check_writable, evenly_spaced, run, write_result
from .data.dataset_folder import DatasetFolder, Example, training_fx
from .data.leakage import trained_on
from .data.unknown_camera import warn_of_camera
from .metrics.calibration import CalibrationError
from .metrics.depth import DepthErrors
from .metrics.gaussian_scores import GaussianScores
from .metrics.segmentation import ConfusionMatrix

LOGGER = logging.getLogger('training')


class Score:
    """
    What one predictor's maps are worth: mIoU, ECE, RMSE (m), NLL, and the means the flag is of.

    :param classes: K, 0 without labels.
    :param depth_max: metres, stands for +inf.
    :param form: what the density of a depth is.
    """

    def __init__(self, classes: int, depth_max: float, form: DepthForm = LINEAR) -> None:
        self.classes, self.depth_max = classes, depth_max
        self.confusion, self.calibration = ConfusionMatrix(max(1, classes)), CalibrationError()
        self.errors, self.gaussian = DepthErrors(), GaussianScores(form)
        self.entropies: list[float] = []
        self.sigmas: list[float] = []
        self.times_ms: list[float] = []

    def add(self, prediction: Prediction, example: Example) -> None:
        """Add an image."""
        self.times_ms.append(sum(prediction.timing_ms.values()))
        if prediction.label is not None and prediction.confidence is not None:
            self.entropies.append(prediction.scores['segmentation_entropy'])
            if example.label is not None:
                truth = torch.from_numpy(example.label).long()
                guess = torch.from_numpy(prediction.label).long()
                known = truth < self.classes
                self.confusion.update(guess[known], truth[known])
                self.calibration.update(torch.from_numpy(prediction.confidence)[known],
                                        (guess == truth)[known])
        if prediction.depth is not None and prediction.depth_variance is not None:
            self.sigmas.append(prediction.scores['depth_sigma'])
            if example.depth is not None:
                depth = torch.from_numpy(np.nan_to_num(prediction.depth, nan=0.0,
                                                       posinf=self.depth_max))
                true_depth = torch.from_numpy(example.depth)
                self.errors.update(depth, true_depth)
                self.gaussian.update(depth, torch.from_numpy(prediction.depth_variance),
                                     true_depth)

    def figures(self) -> dict[str, float]:
        """Return the figures by name; a task without truth or maps has none."""
        found = {'median_ms': float(np.median(self.times_ms))}
        if self.entropies:
            found['mean_entropy_nat'] = float(np.mean(self.entropies))
            found['miou'] = float(self.confusion.compute()['miou'])
            found['ece'] = float(self.calibration.compute()['ece'])
        if self.sigmas:
            found['mean_sigma_m'] = float(np.mean(self.sigmas))
            if int(self.errors.pixels):  # Of none it would be 0 m.
                found['rmse_m'] = float(self.errors.compute()['rmse'])
            found['depth_nll'] = float(self.gaussian.compute()['nll'])
        return {name: value for name, value in found.items() if math.isfinite(value)}


def compare(predictors: dict[str, Predictor], folder: DatasetFolder, stems: Sequence[str],
            progress: bool = True) -> dict[str, dict[str, float]]:
    """Return the figures of each predictor on the same images, asked in turn."""
    scores = {name: Score(len(predictor.metadata.classes), predictor.metadata.depth_max,
                          predictor.metadata.depth_form)
              for name, predictor in predictors.items()}
    for predictor in predictors.values():
        warn_of_camera(folder, predictor.metadata)
    for predictor in predictors.values():
        predictor.warm_up(folder.image(stems[0]).shape[:2])
    for stem in track(stems, 'precision', disable=not progress):
        example = folder.example(stem)
        fx = training_fx(folder, example.image)
        for name, predictor in predictors.items():
            scores[name].add(predictor(example.image, fx=fx), example)
    return {name: score.figures() for name, score in scores.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    reader = parser()
    options = reader.options(arguments)

    def command() -> None:
        names = options.precisions.split(',')
        unknown = [name for name in names if name not in DTYPES]
        if unknown:
            raise InputError(f"--precisions names '{unknown[0]}': give some of "
                             f'{", ".join(DTYPES)}')
        check_counts(options, 'limit')
        check_writable(options.json)
        folder = DatasetFolder(options.data)
        stems = folder.stems(options.split)
        stems = evenly_spaced(stems, options.limit)
        network, metadata = load_answering(options.checkpoint)
        folder.check_classes(metadata.classes, options.checkpoint)
        seen = trained_on(metadata, folder, options.split)
        if seen:
            LOGGER.warning('%s: was trained on these images: what precisions differ by holds, '
                           'each figure by itself flatters it', options.checkpoint)
        predictors = {name: Predictor(network, metadata, device=options.device, precision=name,
                                      backend=options.backend) for name in names}
        figures = compare(predictors, folder, stems, not options.no_progress)
        first = predictors[names[0]]
        for name, row in figures.items():
            print(f'{name}: ' + ', '.join(f'{key} {value:.4g}' for key, value in row.items()))
        write_result(options.json, {
            'checkpoint': options.checkpoint.name, 'data_set': folder.name,
            'split': options.split, 'images': len(stems), 'seen_in_training': seen,
            'backend': first.backend,
            'device': first.device_description, 'precisions': figures,
            'command': reader.command(arguments)})
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
