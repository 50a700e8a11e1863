# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Our metrics against torchmetrics' and torch-uncertainty's, on random and on room-shaped maps.

What differs, and why ours is as it is:

- ECE: their bins are [lo, hi), ours (lo, hi] as in Guo et al. 2017; it matters for a confidence
  on an edge alone, and the test has none. Ours keeps integers, so that chunks change nothing.
- NLL: ours floors the true class's probability at 1e-12, theirs is infinite.
- mIoU: a class that is predicted and in no truth counts 0 in theirs and is left out of ours,
  as the papers' tables leave it out; tested without such a class, and with.
- AUSE: theirs is a sum over sorted samples up to f = 1 - 1/N, ours histograms of pooled pixels and
  the midpoint rule. The test gives each pixel a bin of its own, and bounds what is left by the
  curves' own total variation. Ours has the root of squared errors too, theirs the mean alone.
- FPR95: the highest threshold with 95 % recall in both; ours knows thresholds at edges of bins.
- PAvPU: theirs takes patches, a fixed threshold and 1 - max p; ours single pixels, the image's own
  mean and any uncertainty. Theirs with patches of one pixel and that mean is ours.
- SILog: theirs is the squared one, as a share; ours KITTI's, in percent.
- Interval calibration: the same 19 levels and absolute differences.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryAveragePrecision,
    MulticlassCalibrationError,
    MulticlassJaccardIndex,
)
from training.metrics.bins import Bins
from training.metrics.calibration import CalibrationError
from training.metrics.certainty_cells import CertaintyCells
from training.metrics.depth import DepthErrors
from training.metrics.error_detection import ErrorDetection
from training.metrics.gaussian_scores import GaussianScores
from training.metrics.proper_scores import ProperScores
from training.metrics.segmentation import ConfusionMatrix
from training.metrics.sparsification import Sparsification

K, SIZE = 6, (48, 64)


def random_maps(seed):
    """Return probabilities [K, H, W] of noise, with true labels that follow them."""
    generator = torch.Generator().manual_seed(seed)
    p = (2 * torch.randn(K, *SIZE, generator=generator, dtype=torch.float64)).softmax(0)
    return p, torch.multinomial(p.flatten(1).T, 1, generator=generator).view(SIZE)


def room_maps(seed):
    """Return those of a room: areas of a class with blurred edges, and errors in blobs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, K, 6, 8, generator=generator, dtype=torch.float64)
    logits = 6 * torch.nn.functional.interpolate(coarse, size=SIZE, mode='bilinear')[0]
    moved = torch.roll(logits, (2, 3), (1, 2)) + 0.5 * torch.randn(
        logits.shape, generator=generator, dtype=torch.float64)
    return logits.softmax(0), moved.argmax(0)


@pytest.fixture(params=[random_maps, room_maps], ids=['random', 'room'])
def maps(request):
    return request.param(0)


@pytest.fixture(scope='module')
def uncertain():
    """Return torch-uncertainty, or skip, saying so."""
    return pytest.importorskip('torch_uncertainty', reason='torch-uncertainty is not installed: '
                               'pip install -r requirements/test.txt')


def depths(seed=0):
    """Return depth, variance and true depth of 3000 pixels, metres, with heavy tails."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 8.0, 3000)
    sigma = rng.gamma(2.0, 0.15, 3000) + 0.02
    mean = np.maximum(truth + sigma * rng.standard_t(3, 3000), 0.05)
    return tuple(torch.from_numpy(values) for values in (mean, sigma ** 2, truth))


def test_ece(maps):
    p, label = maps
    theirs = MulticlassCalibrationError(K, n_bins=15)(p.flatten(1).T, label.flatten())
    confidence, guess = p.max(0)
    ours = CalibrationError(15)
    ours.update(confidence, guess == label)
    # Theirs sums float32.
    assert float(ours.compute()['ece']) == pytest.approx(float(theirs), abs=1e-6)


def test_miou_without_and_with_a_class_that_no_truth_has(maps):
    p, label = maps
    guess = p.argmax(0)
    theirs, ours = MulticlassJaccardIndex(K), ConfusionMatrix(K)
    ours.update(guess, label)
    assert float(ours.compute()['miou']) == pytest.approx(float(theirs(guess, label)), rel=1e-6)
    none = torch.where(label == 0, 1, label)
    more = ConfusionMatrix(K)
    more.update(guess, none)
    counted = float(MulticlassJaccardIndex(K)(guess, none)) * K / (K - 1)
    assert float(more.compute()['miou']) == pytest.approx(counted, rel=1e-6)


def test_error_detection_of_pixels_in_bins_of_their_own(maps):
    p, label = maps
    wrong = (p.argmax(0) != label).flatten()
    order = torch.special.entr(p).sum(0).flatten().argsort().argsort()
    count = 64 * math.ceil(len(order) / 64)
    bins = Bins(0.0, 1.0, count)
    uncertainty = (order + 0.5) / count
    ours = ErrorDetection(bins)
    ours.update(uncertainty, ~wrong)
    found = ours.compute()
    assert float(found['auroc']) == pytest.approx(float(BinaryAUROC()(order / len(order), wrong)),
                                                  abs=1e-6)
    assert float(found['average_precision']) == pytest.approx(
        float(BinaryAveragePrecision()(order / len(order), wrong)), abs=1e-5)


def test_fpr95_is_torch_uncertaintys(uncertain, maps):
    from torch_uncertainty.metrics.classification import FPR95
    p, label = maps
    wrong = (p.argmax(0) != label).flatten()
    order = torch.special.entr(p).sum(0).flatten().argsort().argsort()
    count = 64 * math.ceil(len(order) / 64)
    ours, theirs = ErrorDetection(Bins(0.0, 1.0, count)), FPR95(pos_label=1)
    ours.update((order + 0.5) / count, ~wrong)
    theirs.update(order.double(), wrong.long())
    assert float(ours.compute()['fpr95']) == pytest.approx(float(theirs.compute()), abs=1e-6)


def test_nll_and_brier_are_torch_uncertaintys(uncertain, maps):
    from torch_uncertainty.metrics.classification import BrierScore, CategoricalNLL
    p, label = maps
    rows, truth = p.flatten(1).T, label.flatten()
    ours, nll, brier = ProperScores(), CategoricalNLL(), BrierScore(K)
    ours.update(rows.gather(1, truth[:, None]).squeeze(1), rows.square().sum(1))
    nll.update(rows, truth)
    brier.update(rows, truth)
    found = ours.compute()
    assert float(found['nll']) == pytest.approx(float(nll.compute()), rel=1e-5)
    assert float(found['brier']) == pytest.approx(float(brier.compute()), rel=1e-5)


def test_pavpu_of_single_pixels_is_torch_uncertaintys(uncertain, maps):
    from torch_uncertainty.metrics.segmentation.patch_accuracy_vs_uncertainty import PAvPU
    p, label = maps
    p = p.float()
    confidence, guess = p.max(0)
    uncertainty = 1 - confidence
    known = torch.ones(SIZE, dtype=torch.bool)
    known[:5] = False
    ours = CertaintyCells()
    ours.update(guess == label, uncertainty, known)
    theirs = PAvPU(1, unc_threshold=float(uncertainty.double().mean()))
    theirs.update(p[None], label[None], ~known[None])
    found = ours.compute()
    assert float(found['pavpu']) == pytest.approx(float(theirs.compute()), rel=1e-6)
    assert int(found['inaccurate_uncertain']) == int(theirs.inaccurate_uncertain)


def test_ause_is_torch_uncertaintys_within_its_steps(uncertain):
    from torch_uncertainty.metrics.sparsification import AUSE
    rng = np.random.default_rng(0)
    count = 4096
    # A bin for each value, so that neither histogram loses the order.
    order = rng.permutation(count)
    error = torch.from_numpy((rng.permutation(count) * 0.3 + order * 0.7) / count)
    error = error.argsort().argsort().double() + 0.5
    bins = Bins(0.0, 1.0, count)
    uncertainty = torch.from_numpy((order + 0.5) / count)
    ours, theirs = Sparsification(bins, bins), AUSE()
    ours.update(uncertainty, error / count)
    theirs.update(uncertainty, error / count)
    curves = theirs.partial_compute()
    variation = sum(float(curve.diff().abs().sum()) for curve in curves)
    largest = max(float(curve.max()) for curve in curves)
    bound = variation * (1 / 1000 + 1 / count) + 2 * largest / count
    assert float(ours.compute()['ause']) == pytest.approx(float(theirs.compute()), abs=bound)
    assert bound < 0.1 * float(theirs.compute()), 'a bound that says nothing'


def test_depth_errors_are_torch_uncertaintys(uncertain):
    from torch_uncertainty.metrics.regression import SILog, ThresholdAccuracy
    mean, _, truth = depths()
    ours, silog = DepthErrors(), SILog()
    ours.update(mean, truth)
    silog.update(mean, truth)
    found = ours.compute()
    assert float(found['silog']) == pytest.approx(100 * math.sqrt(silog.compute()), rel=1e-4)
    for power in (1, 2, 3):
        accuracy = ThresholdAccuracy(power)
        accuracy.update(mean, truth)
        assert float(found[f'delta{power}']) == pytest.approx(float(accuracy.compute()), rel=1e-6)


def test_gaussian_scores_are_torch_uncertaintys(uncertain):
    from torch_uncertainty.metrics.regression import DistributionNLL, QuantileCalibrationError
    mean, variance, truth = depths()
    normal = torch.distributions.Normal(mean, variance.sqrt())
    ours, nll = GaussianScores(), DistributionNLL()
    quantile = QuantileCalibrationError(num_bins=19)
    ours.update(mean, variance, truth)
    nll.update(normal, truth)
    quantile.update(normal, truth)
    found = ours.compute()
    assert float(found['nll']) == pytest.approx(float(nll.compute()), rel=1e-5)
    # A pixel on the edge of an interval may fall on either side: their levels are float32.
    assert float(found['calibration_error']) == pytest.approx(float(quantile.compute()),
                                                              abs=2 / len(mean))
