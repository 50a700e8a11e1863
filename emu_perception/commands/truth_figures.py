# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How far ``emu_run``'s answers are from the truth that lies beside the images."""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.commands.result import Result
from emu_perception.fusion.joining import SENSOR
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.normal_distribution import Z90
import numpy as np
import torch

_ROUNDING = 1e-6  # Relative: float32 rounds by less.


@dataclass(frozen=True)
class TruthSummary:
    """
    Over all pixels of all images that have a truth; None: nothing could be compared.

    :ivar miou: mean over the classes that occur of intersection over union.
    :ivar pixel_accuracy: share of labelled pixels that are right.
    :ivar abs_rel: mean of |depth - truth| / truth.
    :ivar rmse_m: root of the mean squared error.
    :ivar delta1: share of depths within a factor of 1.25.
    :ivar coverage_90: share of true depths inside the 90 % interval of the predicted density.
    :ivar depth_known: share of true depths where the network gave one.
    :ivar told: share of true depths that a depth hint has told, and that are left out of all
        figures of depth.
    """

    images: int = 0
    miou: float | None = None
    pixel_accuracy: float | None = None
    abs_rel: float | None = None
    rmse_m: float | None = None
    delta1: float | None = None
    coverage_90: float | None = None
    depth_known: float | None = None
    told: float = 0.0

    @property
    def lines(self) -> list[str]:
        """Return it as a short table."""
        cells = [(name, value) for name, value in (
            ('mIoU', self.miou), ('pixel accuracy', self.pixel_accuracy),
            ('abs rel', self.abs_rel), ('RMSE, m', self.rmse_m), ('delta1', self.delta1),
            ('90 % intervals hold', self.coverage_90), ('depths given', self.depth_known))
            if value is not None]
        told = [] if not self.told else [
            f'the depth hint is the truth itself in {100 * self.told:.0f} % of the true depths: '
            'the figures of depth are of the rest']
        if not cells:
            return ['against the truth beside the images: nothing could be compared', *told]
        widths = [max(len(name), 6) for name, _ in cells]
        return [f'against the truth of {self.images} images, all pixels pooled:',
                '  '.join(f'{name:>{width}}' for (name, _), width in zip(cells, widths)),
                '  '.join(f'{value:>{width}.3f}' for (_, value), width in zip(cells, widths)),
                *told]


class TruthFigures:
    """
    Adds up what is compared, an output of ``emu_run``.

    :param classes: how many the network has.
    :param form: what the density of its depths is.
    """

    def __init__(self, classes: int, form: DepthForm = LINEAR) -> None:
        self._form = form
        self._counts = np.zeros((classes, classes), np.int64)
        self._images = self._truths = self._pixels = self._within = self._covered = 0
        self._told = 0
        self._relative = self._squared = 0.0

    def add(self, result: Result) -> None:
        """Compare one result where its truth and its metres are known."""
        truth, prediction = result.truth, result.prediction
        if truth is None or prediction is None:
            return
        compared = False
        if truth.label is not None and prediction.label is not None:
            count = len(self._counts)
            both = (truth.label < count) & (prediction.label < count)
            pairs = truth.label[both].astype(np.int64) * count + prediction.label[both]
            self._counts += np.bincount(pairs, minlength=count * count).reshape(count, count)
            compared = bool(both.any())
        depth, sigma = prediction.depth, prediction.depth_sigma
        # Without a focal length there are no metres to compare.
        if truth.depth is not None and depth is not None and sigma is not None \
                and result.camera is not None:
            known = np.isfinite(truth.depth)
            told = _told(truth.depth, depth, prediction.depth_source)
            self._told += int((known & told).sum())
            self.add_depth(np.where(told, np.nan, truth.depth), depth, sigma)
            compared = compared or bool((known & ~told).any())
        self._images += compared

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def summary(self) -> TruthSummary:
        """Return the figures of all that was compared."""
        right, seen = np.diag(self._counts), self._counts.sum()
        union = self._counts.sum(0) + self._counts.sum(1) - right
        there, pixels = union > 0, self._pixels
        labels = {} if not seen else {
            'miou': float((right[there] / union[there]).mean()),
            'pixel_accuracy': float(right.sum() / seen)}
        depths = {} if not pixels else {
            'abs_rel': self._relative / pixels, 'rmse_m': (self._squared / pixels) ** 0.5,
            'delta1': self._within / pixels, 'coverage_90': self._covered / pixels}
        given = pixels / self._truths if self._truths else None
        told = self._told / (self._told + self._truths) if self._told else 0.0
        return TruthSummary(self._images, **labels, **depths, depth_known=given, told=told)

    def add_depth(self, truth: np.ndarray, depth: np.ndarray, sigma: np.ndarray) -> None:
        """Compare one map of depths, metres, with its truth, NaN where there is none."""
        known = np.isfinite(truth)
        good = known & np.isfinite(depth) & np.isfinite(sigma)
        ours, theirs = depth[good].astype(np.float64), truth[good].astype(np.float64)
        error = np.abs(ours - theirs)
        self._truths += int(known.sum())
        self._pixels += int(good.sum())
        self._relative += float((error / theirs).sum())
        self._squared += float(np.square(error).sum())
        self._within += int((np.maximum(ours / theirs, theirs / ours) < 1.25).sum())
        mean, variance, true = self._form.as_gaussian(
            torch.from_numpy(ours), torch.from_numpy(sigma[good].astype(np.float64)).square(),
            torch.from_numpy(theirs))
        self._covered += int(((true - mean).abs() <= Z90 * variance.sqrt()).sum())


def _told(truth: np.ndarray, depth: np.ndarray, source: np.ndarray | None) -> np.ndarray:
    """Return where a joined depth is the very truth: what is told is no answer, bool HxW."""
    if source is None:
        return np.zeros(truth.shape, bool)
    with np.errstate(invalid='ignore'):
        return (source == SENSOR) & (np.abs(depth - truth) <= _ROUNDING * truth)
