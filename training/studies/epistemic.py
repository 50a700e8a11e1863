# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask what a student's epistemic outputs are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
import sys
from typing import Any

import cv2
from emu_perception.benchmarking.measure import gmac, interleaved, summary
from emu_perception.checkpoint import load_answering
from emu_perception.corruptions import BASIC, corrupted, SEVERITIES
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track
import torch

from ..arguments.studies.epistemic import parser
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder, training_focal
from ..data.leakage import check_unseen
from ..data.unknown_camera import warn_of_camera
from ..evaluation.measuring import check_classes
from ..methods.ensemble import Ensemble, expanded
from ..metrics.image_ranks import auroc, rank_correlation
from .teacher import printed

Maps = dict[str, np.ndarray]
EPISTEMIC, ALEATORIC, WHOLE = 'epistemic', 'aleatoric', 'whole'
FOREIGN = 'foreign object'
# Of the pixels of an image so many are compared, on a regular grid.
PIXELS = 3000
SPLIT = 'val'  # What is measured.


def parts(entropy: np.ndarray | None, mutual_information: np.ndarray | None,
          variance: np.ndarray | None, epistemic: np.ndarray | None) -> Maps:
    """
    Return the uncertainty of each task [H, W] as a whole and in its two parts.

    :param entropy: nats; None without segmentation, as ``mutual_information``.
    :param variance: m²; None without depth, as ``epistemic``.
    :return: by 'labels, PART' in nats and 'depth, PART' in metres. What is left of a whole beside
        a part that is learned apart may come out below 0: it is 0 then.
    """
    found: Maps = {}
    if entropy is not None and mutual_information is not None:
        found.update({f'labels, {WHOLE}': entropy, f'labels, {EPISTEMIC}': mutual_information,
                      f'labels, {ALEATORIC}': np.maximum(entropy - mutual_information, 0.0)})
    if variance is not None and epistemic is not None:
        found.update({f'depth, {name}': np.sqrt(np.maximum(values, 0.0)) for name, values in (
            (WHOLE, variance), (EPISTEMIC, epistemic), (ALEATORIC, variance - epistemic))})
    return found


def of_student(predictor: Predictor, image: np.ndarray, fx: float | None) -> Maps:
    """Return the parts that a student gives in one pass."""
    found = predictor(image, fx=fx)
    maps = found.maps
    return parts(found.segmentation_entropy, found.mutual_information, found.depth_variance,
                 maps.get('depth_epistemic_variance'))


def of_teacher(teacher: Ensemble, image: np.ndarray, focal: float | None) -> Maps:
    """Return the parts that all members say together."""
    found = teacher.predict(image, focal=focal, epistemic=True)
    p = found.probabilities
    entropy = None if p is None else -torch.xlogy(p, p).sum(dim=1)
    return parts(*(None if x is None else x[0].cpu().numpy() for x in (
        entropy, found.mutual_information, found.depth_variance, found.depth_epistemic)))


def with_foreign(image: np.ndarray, other: np.ndarray,
                 rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with an ellipse of another, upside down and in other colours; its mask."""
    mask = _ellipse(image.shape[:2], rng)
    strange = cv2.resize(other, image.shape[1::-1])[::-1, :, ::-1]
    return np.where(mask[:, :, None], strange, image), mask


def with_corrupted(image: np.ndarray, kind: str,
                   rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of which an ellipse is corrupted as badly as there is; its mask."""
    mask = _ellipse(image.shape[:2], rng)
    return np.where(mask[:, :, None], corrupted(image, kind, SEVERITIES[-1], rng), image), mask


def _ellipse(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    height, width = size
    centre = rng.uniform(0.25, 0.75, 2) * (width, height)
    axes = rng.uniform(0.12, 0.25, 2) * (width, height)
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, tuple(map(int, centre)), tuple(map(int, axes)), float(rng.uniform(0, 180)),
                0, 360, 1, -1)
    return mask.astype(bool)


def found_by(maps: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, float | None]:
    """Return for each map the AUROC of the pixels of a mask against all others."""
    step = max(1, int((mask.size / PIXELS) ** 0.5))
    inside = mask[::step, ::step]
    return {name: auroc(values[::step, ::step][~inside].tolist(),
                        values[::step, ::step][inside].tolist())
            for name, values in maps.items()}


def cost(network: MultitaskNetwork, predictor: Predictor, rounds: int) -> dict[str, float]:
    """Return multiply-accumulates and milliseconds with the further outputs and without."""
    plain = MultitaskNetwork(**{name: value for name, value in network.arguments.items()
                                if name != 'epistemic'})
    plain.load_state_dict({name: tensor for name, tensor in network.state_dict().items()
                           if '.epistemic.' not in name})
    metadata = replace(predictor.metadata, architecture=plain.arguments)
    size, cpu = metadata.input_size, torch.device('cpu')
    forms = {'with': predictor, 'without': Predictor(
        plain.eval(), metadata, device=str(predictor.device), backend=predictor.backend)}
    image = np.zeros((*size, 3), np.uint8)
    times = interleaved({name: partial(form, image) for name, form in forms.items()}, rounds)
    return {**{f'median_ms_{name}': summary(values)['median_ms']
               for name, values in times.items()},
            'gmac_with': gmac(network.folded(), size, cpu),
            'gmac_without': gmac(plain.folded(), size, cpu)}


def study(checkpoint: Path, teacher: Sequence[Path], folder: DatasetFolder, limit: int | None,
          rounds: int, device: str = 'auto', backend: str = 'auto',
          progress: bool = True) -> dict[str, Any]:
    """
    Return correlations, detection and cost.

    :raises EmuError: if a file cannot be used, the student has no such outputs, or it or a teacher
        was trained on what is measured.
    """
    network, metadata = load_answering(checkpoint)
    if metadata.outputs == metadata.tasks or not isinstance(network, MultitaskNetwork):
        raise InputError(f'--checkpoint {checkpoint}: has no epistemic outputs: train it with '
                         'emu distill emuformer.epistemic=true')
    check_unseen(checkpoint, metadata, folder, SPLIT)
    predictor = Predictor.load(checkpoint, device, backend=backend)
    ensemble = Ensemble(expanded(teacher), device=resolved_device(device))
    if ensemble.samples < 2:
        raise InputError(f'--teacher {teacher[0]}: one sample cannot disagree with itself: give '
                         'the members of an ensemble, or their folder')
    for member in ensemble.members:
        check_unseen(member.path, member.metadata, folder, SPLIT)
        lacking = [task for task in metadata.tasks if task not in member.metadata.tasks]
        if lacking:
            raise InputError(f'--teacher {member.path}: has no task {lacking[0]}, of which the '
                             f'student {checkpoint} says what it does not know: give its teacher')
    check_classes(ensemble, folder)
    warn_of_camera(folder, metadata)
    focal = training_focal(folder)
    stems = evenly_spaced(folder.stems(SPLIT), limit)
    pixels: dict[str, tuple[list[float], list[float]]] = {}
    detection: dict[tuple[str, str, str], list[float]] = {}
    for index, stem in enumerate(track(stems, 'images', disable=not progress)):
        image = folder.image(stem)
        fx = None if focal is None else focal * image.shape[1]
        rng = np.random.default_rng([7, index])
        clean = {'student': of_student(predictor, image, fx),
                 'teacher': of_teacher(ensemble, image, focal)}
        step = max(1, int((image.shape[0] * image.shape[1] / PIXELS) ** 0.5))
        for name in clean['student']:
            for into, maps in zip(pixels.setdefault(name, ([], [])), clean.values()):
                into += maps[name][::step, ::step].ravel().tolist()
        other = folder.image(stems[(index + len(stems) // 2 + 1) % len(stems)])
        seen = {FOREIGN: with_foreign(image, other, rng),
                **{kind: with_corrupted(image, kind, rng) for kind in BASIC}}
        for what, (strange, mask) in seen.items():
            for who, maps in (('student', of_student(predictor, strange, fx)),
                              ('teacher', of_teacher(ensemble, strange, focal))):
                for name, value in found_by(maps, mask).items():
                    if value is not None:
                        detection.setdefault((what, who, name), []).append(value)
    return {
        'checkpoint': str(checkpoint), 'teacher': [str(path) for path in expanded(teacher)],
        'samples': ensemble.samples, 'data_set': folder.name, 'images': len(stems),
        'correlation': [{'of': name, 'rank_correlation': rank_correlation(own, taught)}
                        for name, (own, taught) in pixels.items()],
        'detection': [{'what': what, 'of': who, 'by': name, 'auroc': float(np.mean(values))}
                      for (what, who, name), values in detection.items()],
        'cost': cost(network, predictor, rounds)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.checkpoint, options.teacher, DatasetFolder(options.data), options.limit,
        options.rounds, options.device, options.backend, not options.no_progress),
        lambda result: '\n\n'.join(printed(rows) for rows in (
            result['correlation'], result['detection'], [result['cost']])), ('limit', 'rounds'))


if __name__ == '__main__':
    sys.exit(main())
