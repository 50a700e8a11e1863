# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask whether the members of an ensemble differ, and what a student sees of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
import sys
from typing import Any

from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.uncertainty import DepthMixture, PredictiveMoments
import numpy as np
from rich.progress import track
import torch
from torchvision.transforms import v2 as transforms

from ..arguments.studies.teacher import parser
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder, training_focal
from ..data.leakage import check_unseen
from ..data.unknown_camera import warn_of_camera
from ..evaluation.measuring import check_classes
from ..methods.ensemble import Ensemble, expanded

Prepare = Callable[[np.ndarray, int], np.ndarray]


class Means:
    """Means of named figures over images, each image counting alike."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, **values: torch.Tensor) -> None:
        """Add an image's maps or figures."""
        for name, value in values.items():
            self._values.setdefault(name, []).append(float(value.double().mean()))

    def compute(self) -> dict[str, float]:
        """Return the means."""
        return {name: float(np.mean(values)) for name, values in self._values.items()}


def uncertainty_parts(members: Sequence[PredictiveMoments]) -> dict[str, torch.Tensor]:
    """
    Return the maps of the uncertainty of an ensemble and of its parts, each [H, W].

    entropy = of the mean softmax; mutual_information = entropy less the members' mean entropy
    (Gal 2016, section 3.3), both nats; depth_variance (equation 10) = aleatoric, the mean of the
    members' variances, + epistemic, the variance of their means, m².
    """
    parts: dict[str, torch.Tensor] = {}
    probabilities = [one.probabilities[0] for one in members if one.probabilities is not None]
    if probabilities:
        entropy = torch.special.entr(torch.stack(probabilities).mean(0)).sum(0)
        own = torch.stack([torch.special.entr(p).sum(0) for p in probabilities]).mean(0)
        parts.update(entropy=entropy, mutual_information=entropy - own)
    mixture = DepthMixture()
    for one in members:
        if one.depth is not None and one.depth_variance is not None:
            mixture.add(one.depth[0], one.depth_variance[0])
    if mixture.mean is not None:
        aleatoric = torch.stack([one.depth_variance[0] for one in members
                                 if one.depth_variance is not None]).mean(0)
        parts.update(depth_variance=mixture.variance, depth_aleatoric=aleatoric,
                     depth_epistemic=mixture.variance - aleatoric,
                     # What the flag is made of, metres.
                     depth_sigma=mixture.variance.sqrt())
    return parts


def pair_figures(one: PredictiveMoments, two: PredictiveMoments, label: np.ndarray | None,
                 depth: np.ndarray | None) -> dict[str, torch.Tensor]:
    """
    Return how two members differ on an image.

    disagreement: of their classes, on all pixels; normalised: on labelled ones, as a share of
    their mean error; depth_ratio: mean |ln d1 - ln d2| where both are positive;
    depth_error_correlation: of their errors in metres.
    """
    found: dict[str, torch.Tensor] = {}
    if one.probabilities is not None and two.probabilities is not None:
        first, second = one.probabilities[0].argmax(0), two.probabilities[0].argmax(0)
        found['disagreement'] = (first != second).double().mean()
        if label is not None:
            truth = torch.from_numpy(label).to(first.device).long()
            valid = truth < one.probabilities.shape[1]
            both = ((first != truth).double() + (second != truth).double())[valid].mean() / 2
            if both > 0:  # Not for a mean of nothing.
                found['normalised_disagreement'] = (first != second)[valid].double().mean() / both
    if one.depth is not None and two.depth is not None:
        near, far = one.depth[0], two.depth[0]
        positive = (near > 0) & (far > 0)
        found['depth_ratio'] = (near[positive].log() - far[positive].log()).abs().mean()
        if depth is not None and (depth > 0).any():
            truth = torch.from_numpy(depth).to(near.device)
            errors = torch.stack([(near - truth)[truth > 0], (far - truth)[truth > 0]])
            found['depth_error_correlation'] = torch.corrcoef(errors)[0, 1]
    return {name: value for name, value in found.items() if bool(torch.isfinite(value))}


def study(teacher: Sequence[Path], folder: DatasetFolder, images: int | None,
          jitter: Sequence[float], device: str = 'auto', progress: bool = True) -> dict[str, Any]:
    """
    Return pairs, and the teacher's uncertainty on three kinds of images.

    :param images: of each kind; None = as many as the validation split has.
    :raises EmuError: if a file cannot be used, or there is one member only.
    """
    paths = expanded(teacher)
    if len(paths) < 2:
        raise InputError(f'--teacher {paths[0]}: one checkpoint: give the members of a deep '
                         'ensemble, or their folder')
    found = resolved_device(device)
    Ensemble(paths)  # Checks that they agree on tasks and classes.
    members = [Ensemble([path], device=found) for path in paths]
    for one in members:
        # Of what they have learned they are surer than of what is new, which this is to tell.
        check_unseen(one.members[0].path, one.members[0].metadata, folder, 'val')
    check_classes(members[0], folder)
    warn_of_camera(folder, members[0].members[0].metadata)
    focal = training_focal(folder)
    val = evenly_spaced(folder.stems('val'), images)
    train = evenly_spaced(folder.stems('train'), len(val))
    pairs = {pair: Means() for pair in combinations(range(len(members)), 2)}

    def moments(image: np.ndarray, index: int) -> list[PredictiveMoments]:
        return [member.predict(image, focal=focal, seed=index) for member in members]

    def jittered(image: np.ndarray, index: int) -> np.ndarray:
        torch.manual_seed(index)
        picture: torch.Tensor = transforms.ColorJitter(*jitter)(
            torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1))
        return picture.permute(1, 2, 0).contiguous().numpy()

    def plain(image: np.ndarray, index: int) -> np.ndarray:
        return image

    kinds: tuple[tuple[str, list[str], Prepare], ...] = (
        ('training images', train, plain), ('training images, jittered', train, jittered),
        ('validation images', val, plain))
    rows = []
    for name, stems, prepare in kinds:
        means = Means()
        for index, stem in enumerate(track(stems, name, disable=not progress)):
            example = folder.example(stem)
            answers = moments(prepare(example.image, index), index)
            means.add(**uncertainty_parts(answers))
            if stems is val:
                for (i, j), figures in pairs.items():
                    figures.add(**pair_figures(answers[i], answers[j], example.label,
                                               example.depth))
        rows.append({'images_of': name, 'images': len(stems), **means.compute()})
    return {'teacher': [str(path) for path in paths], 'data_set': folder.name,
            'jitter': list(jitter), 'uncertainty': rows,
            'pairs': [{'members': pair, **figures.compute()} for pair, figures in pairs.items()]}


def printed(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as Markdown."""
    names = list(rows[0])
    lines = [f'| {" | ".join(names)} |', '|' + '---|' * len(names)]
    for row in rows:
        cells = (f'{value:.4f}' if isinstance(value, float) else str(value)
                 for value in (row.get(name, '–') for name in names))
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    def measured(options: argparse.Namespace) -> dict[str, Any]:
        if not all(0 <= value <= high for value, high in zip(options.jitter, (1, 1, 1, 0.5))):
            raise InputError(f'--jitter is {options.jitter}: give 0 to 1, hue 0 to 0.5')
        return study(options.teacher, DatasetFolder(options.data), options.limit, options.jitter,
                     options.device, not options.no_progress)
    return study_command(parser(), arguments, measured, lambda result: '\n\n'.join(
        printed(result[name]) for name in ('uncertainty', 'pairs')))


if __name__ == '__main__':
    sys.exit(main())
