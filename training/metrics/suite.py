# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Every metric of an evaluation, fed image by image with maps at the truth's full size."""

from __future__ import annotations

from typing import Any
import warnings

from emu_perception.network_maps import NetworkMaps
from emu_perception.scores import measured, SCORES
import torch
from torch import nn

from .bins import (
    entropy_bins,
    MISCLASSIFIED_BINS,
    SQUARED_ERROR_BINS,
    VARIANCE_BINS,
)
from .calibration import CalibrationError
from .certainty_cells import CertaintyCells, THRESHOLDS, VOIDS
from .depth import DepthErrors
from .error_detection import ErrorDetection
from .gaussian_scores import GaussianScores
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


class EvaluationSuite(nn.Module):
    """
    All metrics of both tasks; memory does not grow with the number of images.

    Accurate is the right class, or a depth within a factor of 1.25 (strictly). The uncertainty
    of segmentation is the entropy of the mean softmax, that of depth the predictive variance.

    :param num_classes: K, or None if there is no segmentation.
    :param depth: whether there is depth.
    :param void: policy of the main figures for pixels without a label; depth always leaves
        pixels without truth out.
    :param threshold: 'mean' or 'median' of the image, for the main figures.
    :raises ValueError: for another word.
    """

    def __init__(self, num_classes: int | None, depth: bool, void: str = 'exclude',
                 threshold: str = 'mean') -> None:
        super().__init__()
        if threshold not in THRESHOLDS or void not in VOIDS:
            raise ValueError(f'threshold {threshold!r}, void {void!r}: threshold is one of '
                             f'{THRESHOLDS}, void one of {VOIDS}')
        self.num_classes, self.has_depth = num_classes or 0, depth
        self.void, self.threshold = void, threshold
        self.segmentation, self.depth = nn.ModuleDict(), nn.ModuleDict()
        if num_classes:
            bins = entropy_bins(num_classes)
            self.segmentation.update({
                'confusion': ConfusionMatrix(num_classes), 'ece': CalibrationError(15),
                'ece_10': CalibrationError(10), 'proper': ProperScores(),
                'detection': ErrorDetection(bins),
                'sparsification': Sparsification(bins, MISCLASSIFIED_BINS),
                **{kind: CertaintyCells(kind, void) for kind in THRESHOLDS}})
        if depth:
            self.depth.update({
                'errors': DepthErrors(), 'gaussian': GaussianScores(),
                'detection': ErrorDetection(VARIANCE_BINS),
                'sparsification': Sparsification(VARIANCE_BINS, SQUARED_ERROR_BINS, root=True),
                **{kind: CertaintyCells(kind) for kind in THRESHOLDS}})

    @torch.no_grad()
    def update(self, probabilities: torch.Tensor | None = None, depth: torch.Tensor | None = None,
               depth_variance: torch.Tensor | None = None, label: torch.Tensor | None = None,
               true_depth: torch.Tensor | None = None, *,
               hard_label: torch.Tensor | None = None) -> dict[str, float | None]:
        """
        Add one image; what is None is not measured.

        :param probabilities: mean softmax float32 [K, H, W].
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
            entropy, squares = entropy_and_squares(probabilities)
            if label is not None:
                _check(label, probabilities=probabilities[0])
                accuracy = self._add_segmentation(probabilities, entropy, squares, label)
        elif self.num_classes and hard_label is not None and label is not None:
            _check(label, hard_label=hard_label)
            if int(hard_label.max()) >= self.num_classes:
                raise ValueError(f'hard_label holds class {int(hard_label.max())} of '
                                 f'{self.num_classes}')
            self.segmentation['confusion'].update(hard_label, label)
            accuracy = _mean((hard_label == label)[label < self.num_classes])
        if self.has_depth and depth is not None:
            variance = depth_variance
            if true_depth is not None:
                _check(true_depth, depth=depth, depth_variance=depth_variance)
                rmse = self._add_depth(depth, variance, true_depth)
        scores = measured(NetworkMaps(
            entropy=entropy, depth=None if variance is None else depth, depth_variance=variance))
        return plain({'pixel_accuracy': accuracy, 'rmse': rmse,
                      **{f'mean_{name}': scores.get(name) for name in SCORES}})

    def _add_segmentation(self, probabilities: torch.Tensor, entropy: torch.Tensor,
                          squares: torch.Tensor, label: torch.Tensor) -> torch.Tensor | None:
        confidence, guess = largest(probabilities)
        label = label.long()
        valid, accurate = label < self.num_classes, guess == label
        for kind in THRESHOLDS:
            self.segmentation[kind].update(accurate, entropy, valid)
        # Picked once: each metric below sees labelled pixels only.
        index = valid.flatten().nonzero().squeeze(1)
        label, guess, accurate, confidence, entropy, squares = (
            x.flatten()[index] for x in (label, guess, accurate, confidence, entropy, squares))
        p_true = probabilities.flatten(1)[label, index]
        self.segmentation['confusion'].update(guess, label)
        self.segmentation['ece'].update(confidence, accurate)
        self.segmentation['ece_10'].update(confidence, accurate)
        self.segmentation['proper'].update(p_true, squares)
        self.segmentation['detection'].update(entropy, accurate)
        self.segmentation['sparsification'].update(entropy, ~accurate)
        return _mean(accurate)

    def _add_depth(self, depth: torch.Tensor, variance: torch.Tensor | None,
                   true_depth: torch.Tensor) -> torch.Tensor | None:
        self.depth['errors'].update(depth, true_depth)
        valid = true_depth > 0
        index = valid.flatten().nonzero().squeeze(1)
        truth, guess = (x.flatten()[index].double() for x in (true_depth, depth))
        squared = (guess - truth).square()
        if variance is not None:
            self.depth['gaussian'].update(depth, variance, true_depth)
            accurate = torch.maximum(guess / truth, truth / guess) < 1.25
            everywhere = torch.zeros_like(valid)
            everywhere.view(-1)[index] = accurate
            for kind in THRESHOLDS:
                self.depth[kind].update(everywhere, variance, valid)
            u = variance.flatten()[index]
            self.depth['detection'].update(u, accurate)
            self.depth['sparsification'].update(u, squared)
        mean = _mean(squared)
        return None if mean is None else mean.sqrt()

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

    def reset(self) -> None:
        """Forget all images."""
        for metric in (*self.segmentation.values(), *self.depth.values()):
            metric.reset()


def entropy_and_squares(probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return the entropy -sum p·ln p in nats, with 0·ln 0 = 0, and sum p², each [H, W].

    :param probabilities: [K, H, W].
    """
    entropy = torch.zeros_like(probabilities[0], dtype=torch.float32)
    squares = torch.zeros_like(entropy)
    # One class at a time stays in the cache, and no second [K, H, W] is made.
    for p in probabilities:
        p = p.float()
        entropy += torch.special.entr(p)
        squares.addcmul_(p, p)
    return entropy, squares


def largest(probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return the largest value and the first class that has it, as ``max(0)``.

    :param probabilities: [K, H, W].
    """
    if probabilities.device.type != 'cpu':
        return tuple(probabilities.max(0))  # type: ignore[return-value]
    # Class by class the passes are of vectors; max(0) goes from class to class in each pixel.
    top = probabilities[0].clone()
    index = torch.zeros(top.shape, dtype=torch.uint8)
    for number, p in enumerate(probabilities[1:], 1):
        index.masked_fill_(p > top, number)
        torch.maximum(top, p, out=top)
    if bool(top.isnan().any()):
        return tuple(probabilities.max(0))  # type: ignore[return-value]
    return top, index.long()


def _check(truth: torch.Tensor, **maps: torch.Tensor | None) -> None:
    for name, values in maps.items():
        if values is not None and values.shape != truth.shape:
            raise ValueError(f'{name} {tuple(values.shape)}: its truth is {tuple(truth.shape)}')


def _mean(values: torch.Tensor) -> torch.Tensor | None:
    return values.double().mean() if values.numel() else None
