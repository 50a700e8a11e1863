# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The scores that are fitted, with thresholds of all scores together, for a checkpoint.

Fitted to the training images; thresholds are of a split that nothing was fitted to. What the flag
then says is measured with thresholds of the other runs of frames. Kinds of trouble are the ones
that were fitted: ``training.studies.trust`` leaves each of them out, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emu_perception.corruptions import CORRUPTIONS
from emu_perception.errors import InputError
from emu_perception.familiarity import FittedScores, joint_thresholds, largest_ratio
from emu_perception.networks.families import Network
from emu_perception.observer import Observer
from emu_perception.scores import fitted_scores
import numpy as np

from ..data.dataset_folder import DatasetFolder
from .familiarity import fit_familiar, fit_scores
from .observations import Observations, training_observations
from .training_pictures import CLEAN, VIEW

CORRUPTED = 4  # Of each image.


@dataclass(frozen=True)
class JointFit:
    """
    What goes into the checkpoint, and what it is worth.

    :ivar thresholds: by name of the score.
    :ivar figures: for JSON.
    """

    fitted: FittedScores
    thresholds: dict[str, float]
    figures: dict[str, Any]


def joint_fit(observer: Observer, network: Network, training: DatasetFolder,
              held_out: DatasetFolder, split: str, parts: Sequence[Sequence[str]],
              percentile: float, *, kept: Path | None = None,
              progress: bool = True) -> JointFit:
    """
    Fit to the images of ``train``, and set thresholds by those of a split.

    :param observer: of the network with its constants.
    :param network: the observer's.
    :param held_out: the folder of the split.
    :param parts: its stems in folds of whole runs, for the figures.
    :param percentile: of the split's clean images stay below all thresholds.
    :param kept: where observations are kept for other commands.
    :raises InputError: if there is nothing to fit to.
    """
    stems = training.stems('train')
    if not stems:
        raise InputError(f'{training.root}/train.txt: has no image to fit familiarity to')
    fit = training_observations(observer, network, training, stems, CORRUPTED, kept, progress)
    fitted = fit_scores(fit, fit_familiar(fit, observer.familiar_length))
    pictures = training_observations(observer, network, held_out, held_out.stems(split), CORRUPTED,
                                     kept, progress)
    pictures = pictures.where(pictures.kind != VIEW)
    rows = fitted_scores(observer.metadata.tasks, fitted.arrays())
    given = {**pictures.scores, **fitted.measure_all(pictures.statistics, pictures.scores)}
    scores = {row.name: given[row.name] for row in rows}
    limits = thresholds_by(scores, pictures.kind == CLEAN, bad_corrupted(pictures), percentile)
    return JointFit(fitted, limits,
                    {'fitted_to': {'split': 'train', 'images': len(stems),
                                   'pictures': len(fit.stem)},
                     **_figures(scores, pictures, parts, percentile)})


def bad_corrupted(pictures: Observations) -> np.ndarray:
    """Tell which pictures are corrupted and bad, [n]: thresholds are to catch most of them."""
    return np.isin(pictures.kind, [*CORRUPTIONS]) & (pictures.badness > 1)


def thresholds_by(scores: Mapping[str, np.ndarray], clean: np.ndarray, bad: np.ndarray,
                  percentile: float) -> dict[str, float]:
    """Return the joint thresholds by some pictures: the clean and the bad ones, masks [n]."""
    return joint_thresholds({name: values[clean] for name, values in scores.items()}, percentile,
                            bad={name: values[bad] for name, values in scores.items()})


def _figures(scores: Mapping[str, np.ndarray], pictures: Observations,
             parts: Sequence[Sequence[str]], percentile: float) -> dict[str, Any]:
    """Return what the thresholds of the other folds flag; with one fold, its own."""
    flagged = np.zeros(len(pictures.stem), bool)
    bad, clean = bad_corrupted(pictures), pictures.kind == CLEAN
    for part in parts:
        own = np.isin(pictures.stem, part)
        chosen = ~own if len(parts) > 1 else own
        limits = thresholds_by(scores, clean & chosen, bad & chosen, percentile)
        ratio = largest_ratio({name: values[own] for name, values in scores.items()}, limits)
        flagged[own] = ~(ratio <= 1.0)  # What is no number raises.
    good = np.isin(pictures.kind, [*CORRUPTIONS]) & (pictures.badness <= 1)
    return {'false_alarms': float(flagged[clean].mean()),
            **{f'{name}_{what}': value for name, which in (('bad', bad), ('good_corrupted', good))
               for what, value in (('pictures', int(which.sum())),
                                   ('flagged', float(flagged[which].mean()) if which.any()
                                    else None))}}


def joint_lines(figures: Mapping[str, Any]) -> list[str]:
    """Return in words what was measured."""
    source = figures['fitted_to']
    lines = [f"fitted to {source['pictures']} pictures of {source['images']} images of train"]
    for name, words in (('bad', 'bad corrupted pictures flagged'),
                        ('good_corrupted', 'good corrupted pictures flagged')):
        if figures[f'{name}_flagged'] is not None:
            lines.append(f"{words}: {figures[f'{name}_flagged']:.3f} of "
                         f"{figures[f'{name}_pictures']}")
    return lines
