# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The whole suite against plain numpy, its keys, and that order and processes do not matter."""

from __future__ import annotations

import json
import math
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from rounding import rounding
from scipy.stats import entropy as scipy_entropy
import torch
from training.metrics.label_maps import label_maps
from training.metrics.suite import EvaluationSuite

CLASSES = 5
CERTAINTY = ['p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu']
SEGMENTATION = ['miou', 'classes_counted', 'pixel_accuracy', 'ece', 'ece_10', 'nll', 'brier',
                *CERTAINTY, 'ause', 'auroc', 'average_precision', 'fpr95', 'rss', 'pixels']
DEPTH_ERRORS = ['rmse', 'abs_rel', 'silog', 'delta1', 'delta2', 'delta3', 'rmse_per_image',
                'abs_rel_per_image', 'delta1_per_image']
DEPTH = [*DEPTH_ERRORS, 'nll', 'coverage_50', 'coverage_80', 'coverage_90', 'coverage_95',
         'calibration_error', *CERTAINTY, 'ause', 'auroc', 'average_precision', 'fpr95',
         'auroc_relative', 'pixels']


def image(seed: int) -> dict[str, torch.Tensor]:
    """Return the arguments of update for one synthetic image of 24x32."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2.0 * torch.randn(CLASSES, 24, 32, generator=generator)
    label = (logits + torch.randn(logits.shape, generator=generator)).argmax(0).to(torch.uint8)
    label[:4] = 255
    variance = torch.rand(24, 32, generator=generator) + 0.01
    depth = 1.0 + 5.0 * torch.rand(24, 32, generator=generator)
    truth = depth + variance.sqrt() * torch.randn(24, 32, generator=generator)
    truth[:, :3] = 0.0
    return {'probabilities': logits.softmax(0), 'depth': depth, 'depth_variance': variance,
            'label': label, 'true_depth': truth.clamp(min=0.0)}


def scores_of(seeds: range | list[int], **options: Any) -> dict[str, Any]:
    suite = EvaluationSuite(CLASSES, True, **options)
    for seed in seeds:
        suite.update(**image(seed))
    return suite.compute()


def test_the_keys_are_those_promised_and_all_is_plain_json():
    scores = scores_of(range(3))
    assert sorted(scores) == ['class_iou', 'curves', 'depth', 'policies', 'segmentation']
    assert list(scores['segmentation']) == SEGMENTATION
    assert list(scores['depth']) == DEPTH
    curves = scores['curves']
    assert {task: {name: list(curve) for name, curve in curves[task].items()}
            for task in curves} == {
        'segmentation': {'reliability': ['count', 'accuracy', 'confidence'],
                         'sparsification': ['fraction', 'error', 'oracle'],
                         'threshold': ['uncertainty', *CERTAINTY]},
        'depth': {'coverage': ['nominal', 'observed'],
                  'sparsification': ['fraction', 'error', 'oracle'],
                  'threshold': ['uncertainty', *CERTAINTY]}}
    assert [(row['void'], row['threshold']) for row in scores['policies']] == [
        ('exclude', 'mean'), ('exclude', 'median'),
        ('as_inaccurate', 'mean'), ('as_inaccurate', 'median')]
    for row in scores['policies']:
        assert list(row['segmentation']) == list(row['depth']) == CERTAINTY
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_errors_are_ranked_by_sigma_and_by_its_share_of_the_depth():
    """Far depths have the larger sigma; of their size, near ones here."""
    suite = EvaluationSuite(None, True)
    truth = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    suite.update(depth=truth * torch.tensor([2.0, 1.0, 1.0, 1.0]),
                 depth_variance=torch.tensor([[1.0, 0.04, 0.25, 1.0]]), true_depth=truth)
    found = suite.compute()['depth']
    assert found['auroc_relative'] == 1.0 and found['auroc'] == pytest.approx(5 / 6)


def test_entropy_is_scipys_and_zero_times_log_zero_is_zero():
    probabilities = image(0)['probabilities']
    found = label_maps(probabilities)
    entropy, squares = found.entropy, found.squares
    exact = probabilities.double()
    # Of each class a logarithm, a product and a sum: together no more than log K nats.
    bound = rounding(5 * CLASSES, math.log(CLASSES))
    np.testing.assert_allclose(entropy, scipy_entropy(exact.numpy()), rtol=0, atol=bound)
    np.testing.assert_allclose(squares, exact.square().sum(0), rtol=0,
                               atol=rounding(2 * CLASSES))
    sure = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    assert label_maps(sure).entropy.tolist() == [[0.0]]
    assert label_maps(torch.full((4, 1, 1), 0.25)).entropy.item() == pytest.approx(math.log(4))


def test_segmentation_against_numpy():
    maps = [image(seed) for seed in range(3)]
    p = np.stack([m['probabilities'].numpy() for m in maps]).astype(np.float64)
    label = np.stack([m['label'].numpy() for m in maps])
    known, guess = label < CLASSES, p.argmax(1)
    right = (guess == label)[known]
    u = scipy_entropy(p, axis=1)
    certain = u < u.mean((1, 2), keepdims=True)
    onehot = np.eye(CLASSES)[np.where(known, label, 0)].transpose(0, 3, 1, 2)
    scores = scores_of(range(3))['segmentation']
    iou = [((guess == k) & (label == k)).sum() / (((guess == k) | (label == k)) & known).sum()
           for k in range(CLASSES)]
    assert scores['miou'] == pytest.approx(np.mean(iou))
    assert scores['pixel_accuracy'] == pytest.approx(right.mean())
    assert scores['nll'] == pytest.approx(-np.log((p * onehot).sum(1)[known]).mean(), rel=1e-6)
    assert scores['brier'] == pytest.approx(((p - onehot)**2).sum(1)[known].mean(), rel=1e-6)
    assert scores['p_accurate_given_certain'] == pytest.approx(right[certain[known]].mean())
    assert scores['p_uncertain_given_inaccurate'] == pytest.approx(
        (~certain[known])[~right].mean())
    assert scores['pavpu'] == pytest.approx((right == certain[known]).mean())
    assert scores['pixels'] == known.sum() == 3 * 20 * 32
    # The image's void rows are certain or not like any others, and wrong.
    paper = scores_of(range(3), void='as_inaccurate')
    accurate = (guess == label) & known
    assert paper['segmentation']['pavpu'] == pytest.approx((accurate == certain).mean())
    assert paper['depth'] == scores_of(range(3))['depth']


def test_depth_against_numpy():
    maps = [image(seed) for seed in range(3)]
    depth, variance, truth = (np.stack([m[name].numpy() for m in maps]).astype(np.float64)
                              for name in ('depth', 'depth_variance', 'true_depth'))
    valid = truth > 0
    d, v, y = depth[valid], variance[valid], truth[valid]
    accurate = np.maximum(d / y, y / d) < 1.25
    certain = (variance < variance.mean((1, 2), keepdims=True))[valid]
    log = np.log(d / y)
    scores = scores_of(range(3))['depth']
    assert scores['rmse'] == pytest.approx(np.sqrt(((d - y)**2).mean()))
    assert scores['silog'] == pytest.approx(100 * log.std())
    assert scores['delta1'] == pytest.approx(accurate.mean())
    assert scores['rmse_per_image'] == pytest.approx(np.mean(
        [np.sqrt(((a - b)[b > 0]**2).mean()) for a, b in zip(depth, truth)]))
    assert scores['nll'] == pytest.approx(
        (0.5 * ((d - y)**2 / v + np.log(2 * np.pi * v))).mean())
    assert scores['p_accurate_given_certain'] == pytest.approx(accurate[certain].mean())
    assert scores['pavpu'] == pytest.approx((accurate == certain).mean())
    assert scores['pixels'] == valid.sum()


def test_main_figures_are_those_of_the_chosen_policy():
    for void in ('exclude', 'as_inaccurate'):
        for threshold in ('mean', 'median'):
            scores = scores_of(range(2), void=void, threshold=threshold)
            row = next(row for row in scores['policies']
                       if (row['void'], row['threshold']) == (void, threshold))
            for task in ('segmentation', 'depth'):
                assert row[task] == {name: scores[task][name] for name in CERTAINTY}


def test_an_images_own_scores():
    maps = image(0)
    own = EvaluationSuite(CLASSES, True).update(**maps)
    valid = maps['true_depth'] > 0
    known = maps['label'] < CLASSES
    assert own['pixel_accuracy'] == pytest.approx(float(
        (maps['probabilities'].argmax(0) == maps['label'])[known].float().mean()))
    assert own['rmse'] == pytest.approx(float(
        (maps['depth'] - maps['true_depth'])[valid].square().mean().sqrt()))
    assert own['mean_depth_sigma'] == pytest.approx(float(maps['depth_variance'].sqrt().mean()))
    blind = EvaluationSuite(CLASSES, True).update(**{**maps, 'label': None, 'true_depth': None})
    assert blind == {**own, 'pixel_accuracy': None, 'rmse': None}
    void = EvaluationSuite(CLASSES, True).update(**{
        **maps, 'label': torch.full((24, 32), 255), 'true_depth': torch.zeros(24, 32)})
    assert void == blind


def test_a_task_never_seen_is_absent():
    maps = image(0)
    suite = EvaluationSuite(CLASSES, True)
    assert suite.compute()['curves'] == {}
    suite.update(depth=maps['depth'], true_depth=maps['true_depth'])
    suite.update(maps['probabilities'], label=torch.full((24, 32), 255, dtype=torch.uint8))
    scores = suite.compute()
    assert 'segmentation' not in scores and 'class_iou' not in scores
    # No variance was given: errors alone.
    assert list(scores['depth']) == [*DEPTH_ERRORS, 'pixels']
    assert all(list(row) == ['void', 'threshold'] for row in scores['policies'])
    only = EvaluationSuite(None, True)
    only.update(**maps)
    assert sorted(only.compute()) == ['curves', 'depth', 'policies']
    only = EvaluationSuite(CLASSES, False)
    only.update(**maps)
    assert sorted(only.compute()) == ['class_iou', 'curves', 'policies', 'segmentation']


def test_a_hard_label_map_gives_accuracy_alone():
    maps = image(0)
    suite = EvaluationSuite(CLASSES, True)
    guess = maps['probabilities'].argmax(0).to(torch.uint8)
    own = suite.update(label=maps['label'], hard_label=guess)
    scores = suite.compute()
    full = scores_of([0])
    expected = {name: full['segmentation'][name]
                for name in ('miou', 'classes_counted', 'pixel_accuracy', 'pixels')}
    assert scores['segmentation'] == expected and scores['class_iou'] == full['class_iou']
    assert own['pixel_accuracy'] == pytest.approx(expected['pixel_accuracy'])
    assert own['mean_segmentation_entropy'] is None


@pytest.mark.parametrize('change, message', [
    ({'probabilities': torch.full((4, 24, 32), 0.25)}, r'expected \[5, H, W\]'),
    ({'label': torch.zeros(32, 24, dtype=torch.uint8)}, 'probabilities .*its truth is'),
    ({'true_depth': torch.ones(32, 24)}, 'depth .*its truth is'),
    ({'depth_variance': torch.ones(12, 16)}, 'depth_variance .*its truth is'),
    ({'probabilities': None, 'hard_label': torch.full((24, 32), 7)}, 'holds class 7 of 5'),
])
def test_maps_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSuite(CLASSES, True).update(**{**image(0), **change})


def test_unknown_policies_are_refused():
    with pytest.raises(ValueError, match='is one of'):
        EvaluationSuite(CLASSES, True, void='ignore')


def test_the_order_of_images_does_not_change_one_bit():
    assert scores_of(range(5)) == scores_of([3, 0, 4, 2, 1])


def test_memory_does_not_grow_with_the_number_of_images():
    suite = EvaluationSuite(CLASSES, True)

    def held() -> int:
        return sum(state.numel() for metric in (*suite.segmentation.values(),
                                                *suite.depth.values())
                   for state in metric.metric_state.values())
    before = held()
    for seed in range(3):
        suite.update(**image(seed))
    assert held() == before


WORKER = """
import json, sys
import torch.distributed as dist
sys.path[:0] = sys.argv[1].split(':')
from test_evaluation_suite import CLASSES, image
from training.metrics.suite import EvaluationSuite

rank = int(sys.argv[3])
dist.init_process_group('gloo', init_method='file://' + sys.argv[2], rank=rank, world_size=2)
suite = EvaluationSuite(CLASSES, True)
# Five images against one, and that one has no depth.
for seed in ((5, 1, 0, 3, 2), (4,))[rank]:
    maps = image(seed)
    if seed == 4:
        maps['depth'] = None
    suite.update(**maps)
scores = suite.compute()
if rank == 1:
    print(json.dumps(scores))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one_bit_for_bit(tmp_path):
    here = Path(__file__)
    workers = [subprocess.Popen(
        [sys.executable, '-c', WORKER, f'{here.parent}:{here.parents[2]}',
         str(tmp_path / 'store'), str(rank)],
        cwd=here.parents[3], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)]
    outputs = [worker.communicate(timeout=240) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs[0][1] + outputs[1][1]
    suite = EvaluationSuite(CLASSES, True)
    for seed in range(6):
        maps = image(seed)
        suite.update(**(maps if seed != 4 else {**maps, 'depth': None}))
    assert json.loads(outputs[1][0].splitlines()[-1]) == suite.compute()


def test_the_largest_is_that_of_max_with_ties_and_with_what_is_no_number():
    probabilities = torch.rand(7, 9, 11).round(decimals=1)  # Many ties.
    for spoil in (False, True):
        if spoil:
            probabilities[3, 2, 2] = torch.nan
        found = label_maps(probabilities)
        top, index = found.confidence, found.guess
        expected, first = probabilities.max(0)
        assert torch.equal(top.nan_to_num(9), expected.nan_to_num(9)), spoil
        assert torch.equal(index.long(), first)
    ones = torch.full((4, 2, 2), 0.25)
    assert label_maps(ones).guess.tolist() == [[0, 0], [0, 0]], 'of ties the first'
