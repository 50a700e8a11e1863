# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Lovasz-softmax against its definition on sets, and class weights against labels counted."""

from __future__ import annotations

import math

from emu_perception.networks.multitask import outputs_at
import pytest
from rounding import FEW, rounding
from small_models import SIZE, small_batch, small_network, small_recipe
import torch
from training.data.dataset_folder import DatasetFolder
from training.losses.class_weights import inverse_log_frequency, label_counts
from training.losses.lovasz import jaccard_gradient, lovasz_softmax
from training.losses.terms import cross_entropy, IGNORE
from training.methods.baseline import Baseline
from training.methods.parts import Parts
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe
from training.runs.building import make_module
import yaml

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def jaccard_loss(wrong: set[int], truth: set[int]) -> float:
    """Return equation 6 of the paper, on sets of pixels."""
    return len(wrong) / len(truth | wrong) if wrong else 0.0


def by_definition(p: list[list[float]], truth: list[int]) -> float:
    """Return the loss of probabilities p[class][pixel], set by set."""
    totals = []
    for c in sorted(set(truth)):
        pixels = {i for i, label in enumerate(truth) if label == c}
        errors = [1 - p[c][i] if i in pixels else p[c][i] for i in range(len(truth))]
        order = sorted(range(len(truth)), key=lambda i: -errors[i])
        totals.append(sum(errors[i] * (jaccard_loss(set(order[:n + 1]), pixels)
                                       - jaccard_loss(set(order[:n]), pixels))
                          for n, i in enumerate(order)))
    return sum(totals) / len(totals)


def test_lovasz_is_the_mean_extension_over_the_classes_present_without_ignored_pixels():
    torch.manual_seed(2)
    logits, label = torch.randn(2, 5, 3, 4), torch.randint(0, 3, (2, 3, 4), dtype=torch.uint8)
    label[0, 0] = IGNORE
    labelled = label != IGNORE
    p = logits.softmax(1).movedim(1, -1)[labelled].T
    expected = by_definition(p.tolist(), label[labelled].tolist())
    # A softmax of 5 classes, then at most as many terms as pixels, none above 1.
    bound = rounding(int(labelled.sum()) + FEW)
    assert float(lovasz_softmax(logits, label, IGNORE)) == pytest.approx(expected, abs=bound)
    with torch.autocast('cpu', torch.bfloat16):
        half = lovasz_softmax(logits, label, IGNORE)
    assert float(half) == pytest.approx(expected, abs=bound), 'losses are float32'


def test_lovasz_of_certain_answers_is_1_minus_the_mean_iou():
    label = torch.tensor([[[0, 0, 0, 1, 1, IGNORE]]])
    guess = torch.tensor([0, 1, 0, 1, 2, 2])
    logits = 200.0 * torch.eye(3)[guess].T.view(1, 3, 1, 6)
    # Class 0: 2 of 3; class 1: 1 of {1, 3, 4}; class 2 is in no label.
    expected = 1 - (2 / 3 + 1 / 3) / 2
    assert float(lovasz_softmax(logits, label, IGNORE)) == pytest.approx(
        expected, abs=rounding(FEW))


def test_lovasz_without_labels_is_0_with_a_gradient_of_0():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = lovasz_softmax(logits, torch.full((1, 2, 2), IGNORE), IGNORE)
    loss.backward()
    assert float(loss.detach()) == 0.0 and not logits.grad.any()


def test_the_jaccard_gradient_of_a_million_pixels_has_no_negative_part():
    truth = torch.arange(1_000_000) % 3 == 0
    gradient = jaccard_gradient(truth)
    # Differences of neighbouring float32 numbers are exact: in float64 their sum telescopes.
    assert gradient.min() > 0
    assert float(gradient.double().sum()) == pytest.approx(1.0, abs=rounding(FEW))


def test_class_weights_are_enets_with_a_mean_of_1_over_the_pixels():
    counts = torch.tensor([90, 9, 1, 0])
    weights = inverse_log_frequency(counts)
    ratio = math.log(1.02 + 0.9) / math.log(1.02 + 0.01)
    # log(1.03) is small beside the 1.03 that was rounded.
    assert float(weights[2] / weights[0]) == pytest.approx(
        ratio, rel=rounding(FEW + 2 / math.log(1.03)))
    assert float((counts * weights).sum() / counts.sum()) == pytest.approx(
        1.0, abs=rounding(FEW))
    assert weights[3] > weights[2] > weights[1] > weights[0] and torch.isfinite(weights).all()


def test_weighted_cross_entropy_is_the_mean_over_pixels_not_over_weights():
    logits, label = torch.randn(1, 2, 1, 3), torch.tensor([[[0, 1, IGNORE]]])
    log_p = logits.log_softmax(1)
    expected = -(0.5 * log_p[0, 0, 0, 0] + 4.0 * log_p[0, 1, 0, 1]) / 2
    found = cross_entropy(logits, label, torch.tensor([0.5, 4.0]))
    assert torch.allclose(found, expected)


def test_the_recipe_adds_the_term_with_its_weight_and_weighs_the_classes():
    recipe = small_recipe(loss={'segmentation': 'ce_lovasz', 'lovasz_weight': 2.0})
    parts = Parts(MEAN, STD, class_weights=torch.tensor([0.1, 1.0, 5.0]))
    module, batch = Baseline(small_network(), recipe, parts).eval(), small_batch()
    losses = module.losses(batch)
    logits = outputs_at(module.network(module.normalized(batch['image'])), SIZE).logits
    assert list(losses) == ['ce', 'lovasz', 'gnll']
    assert torch.allclose(losses['lovasz'], 2 * lovasz_softmax(logits, batch['label'], IGNORE))
    assert torch.allclose(losses['ce'], cross_entropy(logits, batch['label'],
                                                      module.class_weights))
    assert not any('class_weights' in name for name in module.state_dict())
    learned = small_recipe(loss={'segmentation': 'ce_lovasz'}, loss_weights={'mode': 'learned'})
    weights = Baseline(small_network(), learned, Parts(MEAN, STD)).task_weights
    assert list(weights.s) == ['ce', 'lovasz']
    assert list(Baseline(small_network(), small_recipe(), Parts(MEAN, STD)).losses(batch)) == [
        'ce', 'gnll']


def test_a_run_weighs_its_classes_by_the_labels_of_its_training_images(synthetic):
    folder = DatasetFolder(synthetic)
    labels = torch.stack([torch.from_numpy(folder.example(stem).label)
                          for stem in folder.stems('train')])
    counts = torch.tensor([int((labels == c).sum()) for c in range(3)])
    assert torch.equal(label_counts(folder, 3), counts) and (labels == IGNORE).any()
    recipe = small_recipe(loss={'class_weights': 'inverse_log_frequency'})
    module = make_module(small_network(), recipe, folder, None)
    assert torch.equal(module.class_weights, inverse_log_frequency(counts))
    assert make_module(small_network(), small_recipe(), folder, None).class_weights is None


def test_weights_without_labels_and_for_a_family_without_them_are_refused(synthetic, tmp_path):
    for path in (synthetic / 'label').glob('*.png'):
        path.unlink()
    recipe = small_recipe(loss={'class_weights': 'inverse_log_frequency'})
    with pytest.raises(RecipeError, match=r"'loss.class_weights'.*train.txt.*give none"):
        make_module(small_network(), recipe, DatasetFolder(synthetic), None)
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({'data': 'd', 'network': {'family': 'deeplab'}}))
    for name, value in (('segmentation', 'ce_lovasz'), ('lovasz_weight', '2.0'),
                        ('class_weights', 'inverse_log_frequency')):
        with pytest.raises(RecipeError, match=f"'loss.{name}' is .*{value}.*all_mlp"):
            load_recipe(path, [f'loss.{name}={value}'])
