# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What checkpoints say of the images of a split, compared with their truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import hashlib
import json
from pathlib import Path
import time
from typing import Any, NamedTuple

from emu_perception.scores import SCORES
from emu_perception.uncertainty import predictive_moments
import numpy as np
from rich.progress import track
import torch

from ..data.augmentation import nearest
from ..data.dataset_folder import (
    DatasetError,
    DatasetFolder,
    Example,
    IGNORE,
    training_focal,
)
from ..data.steps import in_words, steps_of
from ..data.unknown_camera import warn_of_camera
from ..methods.ensemble import Ensemble, Member
from ..methods.sampling import size_of
from ..metrics.probability_runs import Probabilities, Softmax, Whole
from ..metrics.suite import EvaluationSuite
from .threads import one_thread
from .three_task_figures import has_three_task_figures, ThreeTaskFigures

FORMAT = 1
Crop = tuple[int, int, int, int]


def evaluate(ensemble: Ensemble, folder: DatasetFolder, stems: list[str], *,
             void: str = 'exclude', threshold: str = 'mean', crop: Crop | None = None,
             progress: bool = True, min_instance_pixels: int = 100,
             cluster: bool = True,
             before_image: Callable[[str], None] | None = None) -> dict[str, Any]:
    """
    Return the metrics of what the members say together.

    :param void: 'exclude' leaves unlabelled pixels out; 'as_inaccurate' counts them as wrong in
        the uncertainty metrics, as the paper's tables most likely do.
    :param threshold: of certainty, the 'mean' or 'median' uncertainty of each image.
    :param crop: (top, bottom, left, right): truth outside these rows and columns is not used.
    :param min_instance_pixels: smaller true instances are ignored in AP.
    :param cluster: False leaves AP out.
    :param before_image: called with each stem, for what is different from image to image.
    :raises EmuError: if a file of the data set cannot be used, or its classes are others.
    """
    check_classes(ensemble, folder)
    for member in ensemble.members:
        warn_of_camera(folder, member.metadata)
    suite = EvaluationSuite(len(ensemble.classes) or None, 'depth' in ensemble.tasks, void,
                            threshold, ensemble.depth_form).to(ensemble.device)
    focal = training_focal(folder)
    more = ThreeTaskFigures(ensemble, folder, min_pixels=min_instance_pixels,
                            cluster=cluster) if has_three_task_figures(ensemble) else None
    images, seconds = [], []
    begun = time.process_time()
    for index, stem in enumerate(track(stems, 'evaluate', disable=not progress)):
        if before_image is not None:
            before_image(stem)
        example = cropped(folder.example(stem, **({} if more is None else more.reads)), crop)
        if more is not None:
            more.update(example)
        if 'segmentation' not in ensemble.tasks and 'depth' not in ensemble.tasks:
            continue
        start = time.perf_counter()
        answer = answered(ensemble, example.image, focal, index)
        if ensemble.device.type == 'cuda':
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        with one_thread():
            images.append({'stem': stem, **compared(suite, answer, example)})
    # The first image pays for what later ones do not: caches, and kernels being chosen.
    later = np.array(seconds[1:] or seconds) * 1e3
    return {**suite.compute(), **({} if more is None else more.compute()),
            'images': len(stems), 'per_image': images,
            # Of all samples, in PyTorch, with its maps at full size: no robot waits so long. The
            # softmax of a single one is made with the metrics and not in it.
            'evaluation_ms': {'mean': float(later.mean()), 'std': float(later.std()),
                             'images': len(later)} if seconds else None,
            # Of all threads, an image, with reading it and all metrics.
            'evaluation_cpu_s': (time.process_time() - begun) / len(stems) if stems else None,
            **{f'mean_{name}': percentiles(images, f'mean_{name}') for name in SCORES}}


class Answer(NamedTuple):
    """What the members say of one image together: depth in metres [H, W], its variance in m²."""

    probabilities: Probabilities | None
    depth: torch.Tensor | None
    variance: torch.Tensor | None


@torch.no_grad()
def answered(ensemble: Ensemble, image: np.ndarray, focal: float | None, seed: int = 0) -> Answer:
    """
    Return what ``ensemble.predict`` does; of a single sample the softmax is left to who reads it.

    :param image: uint8 [H, W, 3], rgb.
    """
    samples = ensemble.samples_of(image, focal=focal, seed=seed)
    if ensemble.samples == 1:
        logits, depth, variance = sample = next(samples)
        if logits is not None and Softmax.suits(logits):
            return Answer(Softmax(logits[0]), None if depth is None else depth[0],
                          None if variance is None else variance[0])
        samples = iter([sample])
    moments = predictive_moments(samples)
    p, depth, variance = (None if part is None else part[0] for part in (
        moments.probabilities, moments.depth, moments.depth_variance))
    return Answer(None if p is None else Whole(p), depth, variance)


def compared(suite: EvaluationSuite, answer: Answer, example: Example) -> dict[str, float | None]:
    """Add an image with its truth to the suite; returns the image's own figures."""
    device = next(part.device for part in (answer.probabilities, answer.depth)
                  if part is not None)
    label, truth = (None if part is None else torch.from_numpy(part).to(device)
                    for part in (example.label, example.depth))
    return suite.update(*answer, label, truth)


def check_classes(ensemble: Ensemble, folder: DatasetFolder) -> None:
    """
    Check that labels mean what the network means by them.

    :raises DatasetError: if they do not.
    """
    folder.check_classes(ensemble.classes, ensemble.members[0].path)


def percentiles(images: Iterable[dict[str, Any]], name: str) -> dict[str, float] | None:
    """Return percentiles 5, 50 and 95 of a figure of each image; None where it has none."""
    values = [image[name] for image in images if image[name] is not None]
    return {f'p{q}': float(np.percentile(values, q)) for q in (5, 50, 95)} if values else None


def cropped(example: Example, crop: Crop | None) -> Example:
    """
    Return the example with its truth outside the crop forgotten; the image stays whole.

    :raises DatasetError: if the crop is not within the image: it is of others.
    """
    if crop is None:
        return example
    top, bottom, left, right = crop
    height, width = example.image.shape[:2]
    if bottom > height or right > width:
        raise DatasetError(f"image '{example.stem}' is {width}x{height}, of which rows {top} to "
                           f'{bottom} and columns {left} to {right} are no part: give another '
                           '--crop')
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    label, depth, inverse, instance = (
        None if truth is None else np.where(inside, truth, nothing).astype(truth.dtype)
        for truth, nothing in ((example.label, IGNORE), (example.depth, 0), (example.inverse, -1),
                               (example.instance, 0)))
    return Example(example.stem, example.image, label, depth, inverse, instance)


class MeanDepth:
    """The mean depth map of images, streamed; those of other sizes are brought to the first's."""

    def __init__(self) -> None:
        self._total = self._known = np.zeros((0, 0))

    def add(self, depth: np.ndarray) -> None:
        """Add a map, metres, 0 = unknown."""
        if not self._total.size:
            self._total, self._known = np.zeros(depth.shape), np.zeros(depth.shape)
        part = nearest(depth, (self._total.shape[0], self._total.shape[1])).astype(np.float64)
        self._total += part
        self._known += part > 0

    def at(self, size: tuple[int, int]) -> torch.Tensor | None:
        """
        Return the mean, float32 (height, width); None where no depth is known.

        Where it is never known, as beside what a depth camera sees, it is the mean of all.
        """
        count = self._known.sum()
        if not count:
            return None
        mean = np.where(self._known > 0, self._total / np.maximum(self._known, 1),
                        self._total.sum() / count)
        return torch.from_numpy(nearest(mean.astype(np.float32), size))


def trivial(folder: DatasetFolder, stems: list[str], crop: Crop | None = None,
            progress: bool = True) -> dict[str, Any]:
    """Return the metrics of the commonest class and the mean depth map of the training images."""
    counts, depths = np.zeros(256, np.int64), MeanDepth()
    for stem in track(folder.stems('train'), 'trivial: train', disable=not progress):
        example = folder.example(stem)
        if example.label is not None:
            counts += np.bincount(example.label.ravel(), minlength=256)
        if example.depth is not None:
            depths.add(example.depth)
    majority = int(counts[:IGNORE].argmax()) if counts[:IGNORE].any() else None
    suite = EvaluationSuite(len(folder.classes) or None, folder.depth is not None)
    for stem in track(stems, 'trivial: evaluate', disable=not progress):
        example = cropped(folder.example(stem), crop)
        label, truth = (None if part is None else torch.from_numpy(part)
                        for part in (example.label, example.depth))
        guess = (None if label is None or majority is None
                 else torch.full_like(label, majority))
        mean = None if truth is None else depths.at(size_of(truth))
        suite.update(None, mean, None, label, truth, hard_label=guess)
    figures = suite.compute()
    result: dict[str, Any] = {
        task: figures[task] for task in ('segmentation', 'depth') if task in figures}
    if majority is not None:
        result['majority_class'] = folder.classes[majority]
    return result


def method_of(ensemble: Ensemble, sampled: str) -> str:
    """Return what a table calls this: an ensemble is one, all else is how it was trained."""
    if len(ensemble.members) > 1:
        return 'ensemble'
    method = ensemble.members[0].method
    return 'baseline' if method == 'mc_dropout' and sampled == 'deterministic' else method


def named(ensemble: Ensemble, method: str) -> str:
    """Return what a table calls a row that nobody named: its own name, of several the method."""
    return method if len(ensemble.members) > 1 else ensemble.members[0].metadata.name or method


def description(ensemble: Ensemble, sampled: str) -> dict[str, Any]:
    """
    Return what was measured: method, networks, size.

    ``method`` is how it was trained last, which decides how it answers; ``made_by`` all that was
    done to make it, and ``made_of`` as what others went into it.
    """
    first = ensemble.members[0]
    method = method_of(ensemble, sampled)
    dropped = {} if method != 'mc_dropout' else {
        'dropout': first.metadata.architecture['head_dropout']}
    return {'method': method, **dropped,
            'checkpoint': first.path.name,
            'sha256': [file_hash(member.path) for member in ensemble.members],
            'checkpoints': [str(m.path) for m in ensemble.members],
            'seeds': [_recipe(member).get('seed') for member in ensemble.members],
            'trained_as': _trained_as(ensemble),
            'made_by': list(dict.fromkeys(in_words(steps_of(member.metadata))
                                          for member in ensemble.members)),
            'made_of': sorted({role for member in ensemble.members for role in roles(member)}),
            'samples': ensemble.samples, 'tasks': list(ensemble.tasks),
            'encoder': first.metadata.architecture['encoder'],
            'parameters': ensemble.parameters, 'input_size': list(first.metadata.input_size),
            'classes': list(ensemble.classes)}


def roles(member: Member) -> set[str]:
    """Return as what other networks went into one: start, averaged, balanced, teacher."""
    return {str(ancestor.get('role'))
            for ancestor in member.metadata.provenance.get('ancestors') or ()}


def _recipe(member: Member) -> dict[str, Any]:
    return dict(member.metadata.provenance.get('recipe') or {})


def _trained_as(ensemble: Ensemble) -> str | None:
    """Return what is equal for trainings that differ in nothing but seeds and places."""
    recipes = [{name: value for name, value in _recipe(member).items()
                if name not in ('seed', 'name', 'output', 'data')} for member in ensemble.members]
    provenances = [member.metadata.provenance for member in ensemble.members]
    # An average has the recipe and the seed of the first network that went into it.
    if not all(recipes) or any('averaged' in provenance for provenance in provenances):
        return None
    for recipe, provenance in zip(recipes, provenances):
        # Not by the folder's path: the same recipe on more images is no other seed.
        recipe['learned_from'] = [provenance.get(name) for name in ('data_set', 'split', 'images')]
        if 'balanced' in provenance:
            recipe['balanced'] = provenance['balanced'].get('tau')
        if 'density' in provenance:
            recipe['density'] = provenance['density'].get('depth_output')
        distillation = recipe.get('emuformer') or {}
        recipe['emuformer'] = {**distillation, 'teacher': len(distillation.get('teacher') or ())}
    return hashlib.sha256(json.dumps(recipes, sort_keys=True).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Return what tells a checkpoint from another of the same name."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
