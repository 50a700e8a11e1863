# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Every metric of an evaluation, fed image by image with maps at the truth's full size."""

from __future__ import annotations

from collections.abc import Iterator
import math
from typing import Any
import warnings

from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.scores import measured, SCORES
import torch
from torch import nn

from .bins import (
    entropy_bins,
    MISCLASSIFIED_BINS,
    RELATIVE_BINS,
    SQUARED_ERROR_BINS,
    VARIANCE_BINS,
)
from .calibration import CalibrationError
from .certainty_cells import CertaintyCells, THRESHOLDS, VOIDS
from .depth import DepthErrors
from .error_detection import ErrorDetection
from .gaussian_scores import GaussianScores
from .label_maps import label_maps, LabelMaps
from .nearly_entropy import settled
from .probability_runs import Probabilities
from .proper_scores import ProperScores
from .segmentation import ConfusionMatrix
from .sparsification import Sparsification
from .summary import (
    curves,
    DEPTH,
    depth_figures,
    plain,
    policies,
    SEGMENTATION,
    segmentation_figures,
)

# Of one count of confidences come the bins of both calibration errors.
_ECE_BINS = (15, 10)
# Pixels, whose float64 then stay in a CPU's cache for all that is asked of them.
_RUN = 2**15
_NEAREST_M = 1e-3  # A relative sigma of depth 0 is without bound.


class EvaluationSuite(nn.Module):
    """
    All metrics of both tasks; memory does not grow with the number of images.

    Accurate is the right class, or a depth within a factor of 1.25 (strictly). The uncertainty
    of segmentation is the entropy of the mean softmax, that of depth the predictive variance; for
    ``auroc_relative`` it is sigma / depth.

    :param num_classes: K, or None if there is no segmentation.
    :param depth: whether there is depth.
    :param void: policy of the main figures for pixels without a label; depth always leaves
        pixels without truth out.
    :param threshold: 'mean' or 'median' of the image, for the main figures.
    :param form: what the density of a depth is.
    :raises ValueError: for another word.
    """

    def __init__(self, num_classes: int | None, depth: bool, void: str = 'exclude',
                 threshold: str = 'mean', form: DepthForm = LINEAR) -> None:
        super().__init__()
        if threshold not in THRESHOLDS or void not in VOIDS:
            raise ValueError(f'threshold {threshold!r}, void {void!r}: threshold is one of '
                             f'{THRESHOLDS}, void one of {VOIDS}')
        self.num_classes, self.has_depth = num_classes or 0, depth
        self.void, self.threshold = void, threshold
        self.segmentation, self.depth = nn.ModuleDict(), nn.ModuleDict()
        self.confidences = CalibrationError(math.lcm(*_ECE_BINS))
        if num_classes:
            bins = entropy_bins(num_classes)
            self.segmentation.update({
                'confusion': ConfusionMatrix(num_classes), 'ece': CalibrationError(_ECE_BINS[0]),
                'ece_10': CalibrationError(_ECE_BINS[1]), 'proper': ProperScores(),
                'detection': ErrorDetection(bins),
                'sparsification': Sparsification(bins, MISCLASSIFIED_BINS),
                **{kind: CertaintyCells(kind, void) for kind in THRESHOLDS}})
        if depth:
            self.depth.update({
                'errors': DepthErrors(), 'gaussian': GaussianScores(form),
                'detection': ErrorDetection(VARIANCE_BINS),
                'relative': ErrorDetection(RELATIVE_BINS),
                'sparsification': Sparsification(VARIANCE_BINS, SQUARED_ERROR_BINS, root=True),
                **{kind: CertaintyCells(kind) for kind in THRESHOLDS}})

    @torch.no_grad()
    def update(self, probabilities: torch.Tensor | Probabilities | None = None,
               depth: torch.Tensor | None = None,
               depth_variance: torch.Tensor | None = None, label: torch.Tensor | None = None,
               true_depth: torch.Tensor | None = None, *,
               hard_label: torch.Tensor | None = None) -> dict[str, float | None]:
        """
        Add one image; what is None is not measured.

        :param probabilities: mean softmax float32 [K, H, W], or what makes it run by run.
        :param depth: metres [H, W].
        :param depth_variance: m² [H, W]; without it depth has no uncertainty metrics.
        :param label: true class [H, W], K and above (255) = void.
        :param true_depth: metres [H, W], 0 = invalid.
        :param hard_label: predicted class [H, W] in place of probabilities: gives mIoU and
            accuracy alone.
        :return: pixel_accuracy, rmse (m) and, after 'mean_', every score of this image by name;
            None where there is no truth or no prediction.
        :raises ValueError: if a shape or a class does not fit.
        """
        accuracy = rmse = entropy = variance = None
        if self.num_classes and probabilities is not None:
            if probabilities.shape[0] != self.num_classes:
                raise ValueError(f'probabilities {tuple(probabilities.shape)}: expected '
                                 f'[{self.num_classes}, H, W]')
            if label is not None:
                _check(label, probabilities=probabilities.shape[1:])
            maps = label_maps(probabilities, label)
            entropy = settled(maps.entropy, probabilities, entropy_bins(self.num_classes))
            if label is not None:
                accuracy = self._add_segmentation(maps, entropy, label)
        elif self.num_classes and hard_label is not None and label is not None:
            _check(label, hard_label=hard_label.shape)
            if int(hard_label.max()) >= self.num_classes:
                raise ValueError(f'hard_label holds class {int(hard_label.max())} of '
                                 f'{self.num_classes}')
            self.segmentation['confusion'].update(hard_label, label)
            accuracy = _share((hard_label == label) & (label < self.num_classes),
                              label < self.num_classes)
        if self.has_depth and depth is not None:
            variance = depth_variance
            if true_depth is not None:
                _check(true_depth, depth=depth.shape)
                if variance is not None:
                    _check(true_depth, depth_variance=variance.shape)
                rmse = self._add_depth(depth, variance, true_depth)
        scores = measured(NetworkMaps(
            entropy=entropy, depth=None if variance is None else depth, depth_variance=variance))
        return plain({'pixel_accuracy': accuracy, 'rmse': rmse,
                      **{f'mean_{name}': scores.get(name) for name in SCORES}})

    def _add_segmentation(self, maps: LabelMaps, entropy: torch.Tensor, label: torch.Tensor,
                          ) -> torch.Tensor | None:
        valid, accurate = label < self.num_classes, maps.guess == label
        for kind in THRESHOLDS:
            self.segmentation[kind].update(accurate, entropy, valid)
        bins, detection = entropy_bins(self.num_classes), self.segmentation['detection']
        assert maps.p_true is not None, 'made with the label'
        before = detection.counts.clone()
        for _, (true, guess, confidence, u, squares, p_true) in _runs(
                valid, label, maps.guess, maps.confidence, entropy, maps.squares, maps.p_true):
            right = guess == true
            self.segmentation['confusion'].update(guess, true)
            finer = self.confidences.binned(confidence, right)
            for name in ('ece', 'ece_10'):
                self.segmentation[name].update(confidence, right, finer)
            self.segmentation['proper'].update(p_true, squares)
            detection.update(u, right, bins.index(u))
        self.segmentation['sparsification'].update(
            entropy, ~accurate, counts=detection.counts - before)
        return _share(accurate & valid, valid)

    def _add_depth(self, depth: torch.Tensor, variance: torch.Tensor | None,
                   true_depth: torch.Tensor) -> torch.Tensor | None:
        valid = true_depth > 0
        squares: list[torch.Tensor] = []
        known: list[tuple[torch.Tensor, torch.Tensor]] = []
        everywhere = torch.zeros_like(valid)
        uncertainty = depth if variance is None else variance
        for index, (y, mean, u) in _runs(valid, true_depth, depth, uncertainty):
            truth, guess = y.double(), mean.double()
            known.append((mean, y))
            squares.append((guess - truth).square_())
            if variance is None:
                continue
            right = torch.maximum(guess / truth, truth / guess) < 1.25
            everywhere.view(-1)[index] = right
            place = VARIANCE_BINS.index(u)
            u = u.double()
            self.depth['gaussian'].update(guess, u, truth)
            self.depth['detection'].update(u, right, place)
            self.depth['relative'].update(u.double().sqrt() / guess.clamp(min=_NEAREST_M), right)
            self.depth['sparsification'].update(u, squares[-1], place)
        if known:
            self.depth['errors'].update(*(torch.cat(part) for part in zip(*known)))
        if variance is not None:
            for kind in THRESHOLDS:
                self.depth[kind].update(everywhere, variance, valid)
        return torch.cat(squares).mean().sqrt() if squares else None

    def compute(self) -> dict[str, Any]:
        """
        Return all metrics as plain Python values, None for what is not defined.

        Where several processes measure, each has to call it. A task of which no pixel with truth
        was seen is left out; a metric of the uncertainty where none was given likewise.

        :return: segmentation, depth, policies, curves, class_iou.
        """
        with warnings.catch_warnings():
            # A process, or a task, may have seen no image.
            warnings.filterwarnings('ignore', message='.*called before the ``update``.*')
            results = {task: {name: metric.compute() for name, metric in metrics.items()}
                       for task, metrics in ((SEGMENTATION, self.segmentation),
                                             (DEPTH, self.depth)) if metrics}
        class_iou = self.segmentation['confusion'].iou() if self.num_classes else None
        pixels = {task: int(metrics['confusion' if task == SEGMENTATION else 'errors']['pixels'])
                  for task, metrics in results.items()}
        results = {task: metrics for task, metrics in results.items() if pixels[task]}
        scores: dict[str, Any] = {}
        if SEGMENTATION in results:
            scores[SEGMENTATION] = segmentation_figures(results[SEGMENTATION], self.threshold)
        if DEPTH in results:
            scores[DEPTH] = depth_figures(results[DEPTH], self.threshold)
        scores.update(policies=policies(results), curves=curves(results))
        if SEGMENTATION in results:
            scores['class_iou'] = class_iou
        return plain(scores)


def _runs(valid: torch.Tensor, *maps: torch.Tensor,
          ) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """
    Yield the pixels with truth in runs that stay in the cache.

    :return: their places int64 [N], and what each map holds there [N].
    """
    index = valid.flatten().nonzero().squeeze(1)
    if index.numel():
        for part in index.split(_RUN if valid.device.type == 'cpu' else index.numel()):
            yield part, [x.flatten().index_select(0, part) for x in maps]


def _check(truth: torch.Tensor, **sizes: tuple[int, ...]) -> None:
    for name, size in sizes.items():
        if tuple(size) != tuple(truth.shape):
            raise ValueError(f'{name} {tuple(size)}: its truth is {tuple(truth.shape)}')


def _share(right: torch.Tensor, known: torch.Tensor) -> torch.Tensor | None:
    """Return the share of the known pixels bool [H, W] that are right; None where none is."""
    count = known.sum()
    return right.sum().double() / count if int(count) else None
