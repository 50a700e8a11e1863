# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The suite in runs and by vectors against the plain formulas: integers alike, one for one."""

from __future__ import annotations

import pytest
from rounding import rounding
import torch
from torch.nn import functional as F
from training.metrics.bins import (
    counts_between,
    entropy_bins,
    MISCLASSIFIED_BINS,
    SQUARED_ERROR_BINS,
    VARIANCE_BINS,
)
from training.metrics.calibration import CalibrationError
from training.metrics.exact_sum import exact_bin_sums, exact_row_sums, exact_sum
from training.metrics.gaussian_scores import GaussianScores
from training.metrics.nearly_entropy import plain_entropy
from training.metrics.sparsification import Sparsification
from training.metrics.suite import EvaluationSuite

CLASSES, SIZE = 6, (264, 256)


def image(seed: int, spoiled: bool) -> dict[str, torch.Tensor]:
    """Return the arguments of update, with ties, void, missing depth and, spoiled, NaN and inf."""
    g = torch.Generator().manual_seed(seed)
    logits = F.interpolate(3 * torch.randn(1, CLASSES, 33, 32, generator=g), size=SIZE,
                           mode='bilinear')[0]
    logits[1, :40] = logits[0, :40]  # Ties.
    label = (logits + torch.randn(logits.shape, generator=g)).argmax(0).to(torch.uint8)
    label[torch.rand(SIZE, generator=g) < 0.2] = 255
    depth = 1 + 5 * torch.rand(SIZE, generator=g)
    variance = (0.1 * depth).square() * (0.5 + torch.rand(SIZE, generator=g))
    truth = (depth + 2 * variance.sqrt() * torch.randn(SIZE, generator=g)).clamp(min=0)
    truth[:, :50] = 0
    p = logits.softmax(0)
    if spoiled:
        p[2, 50, 60] = variance[60, 60] = depth[61, 61] = torch.nan
        depth[62, 62], variance[63, 63] = torch.inf, torch.inf
    return {'probabilities': p, 'depth': depth, 'depth_variance': variance, 'label': label,
            'true_depth': truth}


def fixed_point(values: torch.Tensor) -> torch.Tensor:
    """Return each value by itself as int64 [3, ...]: high part, low 32 bits, whether it is NaN."""
    limit = 2.0**22
    whole = (values.double().nan_to_num(0.0, limit, -limit).clamp(-limit, limit)
             * 2.0**40).round().long()
    return torch.stack([whole >> 32, whole & (2**32 - 1), values.isnan().long()])


def cells(u: torch.Tensor, kind: str, accurate: torch.Tensor, valid: torch.Tensor) -> list[int]:
    """Count as ``CertaintyCells`` says, mask by mask."""
    finite = u.double()[u.isfinite()]
    mean = fixed_point(finite).sum(1)
    threshold = finite.median() if kind == 'median' else (
        mean[0].double() * 2.0**-8 + mean[1].double() * 2.0**-40) / finite.numel()
    certain = u.double() < threshold
    rows = (valid & accurate, valid & ~accurate, ~valid)
    return [int((row & column).sum()) for row in rows for column in (certain, ~certain)]


@pytest.mark.parametrize('spoiled', [False, True])
def test_all_counts_are_those_of_the_plain_formulas(spoiled):
    maps = image(3, spoiled)
    suite = EvaluationSuite(CLASSES, True)
    suite.update(**maps)
    p, label, truth = maps['probabilities'], maps['label'].long(), maps['true_depth']
    confidence, guess = p.max(0)
    known, accurate, u = label < CLASSES, guess == label, plain_entropy(p)
    of = suite.segmentation
    pairs = torch.bincount((label * CLASSES + guess)[known], minlength=CLASSES**2)
    assert torch.equal(of['confusion'].counts.flatten(), pairs)
    for name, bins in (('ece', 15), ('ece_10', 10)):
        place = torch.bucketize(confidence[known].double(), of[name].inner)
        assert torch.equal(of[name].count, torch.bincount(place, minlength=bins))
        assert torch.equal(of[name].correct, torch.bincount(
            place[accurate[known]], minlength=bins))
        assert torch.equal(of[name].confidence, torch.zeros(3, bins, dtype=torch.long).index_add_(
            1, place, fixed_point(confidence[known])))
    p_true = p.double().gather(0, label.clamp(max=CLASSES - 1)[None])[0][known]
    squares = p.double().square().sum(0)[known]
    # Of each class a product and a sum in float32: together no more than 1.
    brier = pytest.approx(float((squares - 2 * p_true + 1).mean()), abs=rounding(2 * CLASSES),
                          nan_ok=True)
    assert float(of['proper'].compute()['brier']) == brier
    assert float(of['proper'].compute()['nll']) == pytest.approx(
        float(-p_true.clamp(min=1e-12).log().mean()), abs=2.0**-40, nan_ok=True)
    place = entropy_bins(CLASSES).index(u)
    for row, mask in enumerate((known & accurate, known & ~accurate)):
        assert torch.equal(of['detection'].counts[row],
                           torch.bincount(place[mask], minlength=4096))
    assert torch.equal(of['sparsification'].count_by_uncertainty, of['detection'].counts.sum(0))
    assert torch.equal(of['sparsification'].error_by_uncertainty[0],
                       of['detection'].counts[1] << 8)
    valid, mean, variance = truth > 0, maps['depth'].double(), maps['depth_variance']
    near = (torch.maximum(mean / truth, truth / mean) < 1.25) & valid
    for kind in ('mean', 'median'):
        assert of[kind].cells.flatten().tolist() == cells(u, kind, accurate, known)
        assert suite.depth[kind].cells.flatten().tolist() == cells(variance, kind, near, valid)
    place = VARIANCE_BINS.index(variance[valid])
    assert torch.equal(suite.depth['detection'].counts.sum(0),
                       torch.bincount(place, minlength=4096))
    squared = (mean[valid] - truth[valid].double()).square()
    assert torch.equal(suite.depth['sparsification'].count_by_error,
                       torch.bincount(SQUARED_ERROR_BINS.index(squared), minlength=4096))
    z = squared.sqrt() / variance[valid].double().clamp(min=1e-12).sqrt()
    assert torch.equal(suite.depth['gaussian'].held, torch.bincount(
        torch.bucketize(z, GaussianScores().quantiles), minlength=20))
    assert torch.equal(suite.depth['errors'].squared, fixed_point(squared).sum(1))
    assert suite.depth['errors'].within[0] == near.sum()


def test_confidences_beside_the_edges_fall_where_a_search_puts_them():
    for bins in (1, 7, 10, 15):
        metric = CalibrationError(bins)
        edges = torch.arange(bins + 1).double().div(bins).float()
        near = torch.cat([edges, torch.nextafter(edges, edges + 1),
                          torch.nextafter(edges, edges - 1).clamp(min=0)])
        assert torch.equal(metric._bin(near), torch.bucketize(near.double(), metric.inner))


@pytest.mark.parametrize('odd', [None, torch.nan, torch.inf, 1e9])
def test_sums_are_those_of_the_parts(odd):
    values = torch.randn(2, 999, generator=torch.Generator().manual_seed(1)).double() * 50
    if odd is not None:
        values[1, 5] = odd
    parts = fixed_point(values)
    assert torch.equal(exact_row_sums(values), parts.sum(-1))
    assert torch.equal(exact_sum(values), parts.flatten(1).sum(1))
    index = torch.arange(999) % 7
    found = exact_bin_sums(values[1], index, 7)
    for place in range(7):
        assert torch.equal(found[:, place], parts[:, 1, index == place].sum(1))
    wrong = values[1] > 0
    assert torch.equal(exact_bin_sums(wrong, index, 7), exact_bin_sums(wrong.double(), index, 7))


def test_counts_between_edges_are_those_of_a_search():
    edges = torch.tensor([0.1, 0.5, 2.0]).double()
    values = torch.tensor([0.1, 0.0, 0.2, 0.5, 0.6, 2.0, 3.0, torch.inf, torch.nan]).double()
    assert torch.equal(counts_between(values, edges), torch.bincount(
        torch.bucketize(values, edges), minlength=4))


@pytest.mark.parametrize('odd', [None, torch.nan])
def test_bins_of_a_calibration_error_are_those_of_finer_ones_put_together(odd):
    edges = torch.arange(31).double().div(30).float()
    confidence = torch.cat([edges, torch.nextafter(edges, edges + 1), torch.rand(
        999, generator=torch.Generator().manual_seed(4))]).clamp(max=1)
    if odd is not None:
        confidence[7] = odd
    correct = torch.arange(len(confidence)) % 3 == 0
    finer = CalibrationError(30).binned(confidence, correct)
    for bins in (10, 15):
        one, other = CalibrationError(bins), CalibrationError(bins)
        one.update(confidence, correct, finer)
        place = torch.bucketize(confidence.double(), other.inner)
        assert torch.equal(one.count, torch.bincount(place, minlength=bins))
        other.update(confidence, correct)
        for state in ('count', 'correct', 'confidence'):
            assert torch.equal(getattr(one, state), getattr(other, state)), state


def test_counts_of_right_and_wrong_say_all_that_a_sparsification_takes_of_their_pixels():
    bins, generator = entropy_bins(CLASSES), torch.Generator().manual_seed(5)
    uncertainty, wrong = 2 * torch.rand(5000, generator=generator), torch.rand(
        5000, generator=generator) < 0.3
    one, other = (Sparsification(bins, MISCLASSIFIED_BINS) for _ in range(2))
    one.update(uncertainty, wrong)
    place = bins.index(uncertainty)
    other.update(uncertainty, wrong, counts=torch.stack([
        torch.bincount(place[mask], minlength=bins.count) for mask in (~wrong, wrong)]))
    for state in one._defaults:
        assert torch.equal(getattr(one, state), getattr(other, state)), state
