# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The student: its four terms, its teacher's own colours, and that it learns the uncertainty."""

from __future__ import annotations

import copy
import math

from emu_perception.networks.multitask import outputs_at
import pytest
from small_models import CLASSES, SIZE, small_batch, small_network, small_recipe
import torch
from training.losses.task_weights import LIKELIHOODS, noise_form
from training.losses.terms import (
    amount_l1,
    cross_entropy,
    depth_mean_l1,
    gaussian_nll,
    kl_divergence,
    rmsle,
)
from training.methods.baseline import Baseline
from training.methods.emuformer import EMUFormer
from training.methods.ensemble import Ensemble
from training.methods.parts import Parts
from training.recipes.options import RecipeError

NO_JITTER = {'jitter': [0, 0, 0, 0]}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def teacher(saved):
    return Ensemble([saved('a', 1), saved('b', 2)])


def student(teacher, network=None, loss=None, classes=CLASSES, weights=None, **options):
    recipe = small_recipe(method='emuformer', emuformer={**NO_JITTER, **options},
                          **({'loss': loss} if loss else {}),
                          **({'loss_weights': weights} if weights else {}))
    module = EMUFormer(network or small_network(9), recipe,
                       Parts(MEAN, STD, teacher=teacher, classes=classes))
    type(module).global_step = property(lambda self: 0)
    return module.eval()


@pytest.fixture(autouse=True)
def clean():
    yield
    if 'global_step' in EMUFormer.__dict__:
        del EMUFormer.global_step


def test_every_term_that_a_student_may_have_has_a_form_that_is_written_out(teacher):
    """Absolute errors were once learned by the form of a classification."""
    module = student(teacher, small_network(9, epistemic=True), epistemic=True,
                     depth_mean_weight=1.0, loss={'segmentation': 'ce_lovasz'})
    assert set(module.terms(small_batch())) == set(module.term_weights())
    forms = {term: noise_form(term) for term in module.term_weights() if term not in LIKELIHOODS}
    assert {term for term, form in forms.items() if form == (1.0, 1.0)} == {
        'rmsle', 'depth_mean', 'mutual_information', 'depth_epistemic'}


def test_the_loss_is_equation_11_with_its_weights(teacher):
    module, batch = student(teacher), small_batch()
    losses = module.losses(batch)
    outputs = outputs_at(module.network(module.normalized(batch['image'])), SIZE)
    target = teacher.moments(batch['image'], SIZE)
    assert set(losses) == {'ce', 'gnll', 'kl', 'rmsle'}
    for name, expected in {
            'ce': cross_entropy(outputs.logits, batch['label']),
            'gnll': gaussian_nll(outputs.depth, outputs.depth_variance, batch['depth']),
            'kl': 10 * kl_divergence(target.probabilities, outputs.logits),
            'rmsle': rmsle(target.depth_variance, outputs.depth_variance)}.items():
        assert torch.allclose(losses[name], expected, atol=1e-5), name


def test_what_the_members_disagree_by_is_learned_apart_where_it_is_asked_for(teacher):
    network = small_network(9, epistemic=True)
    module = student(teacher, network, epistemic=True, epistemic_weight=3.0)
    batch = small_batch()
    losses = module.losses(batch)
    outputs = outputs_at(network(module.normalized(batch['image'])), SIZE)
    target = teacher.moments(batch['image'], SIZE, epistemic=True)
    assert set(losses) == {'ce', 'gnll', 'kl', 'rmsle', 'mutual_information', 'depth_epistemic'}
    for name in ('mutual_information', 'depth_epistemic'):
        expected = 3 * amount_l1(getattr(target, name), getattr(outputs, name))
        assert torch.allclose(losses[name], expected, atol=1e-5), name
    assert float(target.depth_epistemic.min()) >= 0.0 < float(target.mutual_information.max())
    # The rest is as it is without, and only the further layers learn from the two.
    other = small_network(9)
    other.load_state_dict({name: tensor for name, tensor in network.state_dict().items()
                           if '.epistemic.' not in name})
    plain = student(teacher, other).losses(batch)
    assert all(torch.allclose(losses[name], plain[name], atol=1e-5) for name in plain)
    losses['mutual_information'].backward()
    assert float(network.head('segmentation').epistemic.weight.grad.abs().max()) > 0
    assert not network.head('segmentation').classifier.weight.grad.any()


def test_a_recipe_asks_for_the_outputs_and_none_has_them_by_itself():
    assert EMUFormer.network_arguments(small_recipe(method='emuformer'), 3)['epistemic'] is False
    asked = small_recipe(method='emuformer', emuformer={'epistemic': True})
    assert EMUFormer.network_arguments(asked, 3)['epistemic'] is True
    assert 'epistemic' not in Baseline.network_arguments(asked, 3)


def test_amounts_are_compared_by_their_ratio_and_what_is_not_finite_does_not_count():
    taught = torch.tensor([[[0.1, 0.0, float('inf')]]])
    own = torch.tensor([[[0.2, 0.0, 5.0]]], requires_grad=True)
    loss = amount_l1(taught, own)
    assert loss.item() == pytest.approx(math.log(0.201 / 0.101) / 2)
    loss.backward()
    assert torch.isfinite(own.grad).all() and float(own.grad[0, 0, 2]) == 0.0


def test_weights_and_valid_pixels_are_options(teacher):
    batch = small_batch()
    module = student(teacher, kl_weight=3.0, kl_pixels='valid', rmsle_weight=2.0,
                     rmsle_pixels='valid')
    losses = module.losses(batch)
    outputs = outputs_at(module.network(module.normalized(batch['image'])), SIZE)
    target = teacher.moments(batch['image'], SIZE)
    expected = 3 * kl_divergence(target.probabilities, outputs.logits, batch['label'] != 255)
    assert torch.allclose(losses['kl'], expected, atol=1e-5)
    expected = 2 * rmsle(target.depth_variance, outputs.depth_variance, batch['depth'] > 0)
    assert torch.allclose(losses['rmsle'], expected, atol=1e-5)


def test_the_teachers_mean_depth_is_a_term_where_asked_with_its_weight_and_pixels(teacher):
    batch = small_batch()
    for options, weights in (
            ({'depth_mean_weight': 3.0, 'depth_mean_pixels': 'valid'}, None),
            ({'depth_mean_pixels': 'valid'}, {'mode': 'fixed', 'fixed': {'depth_mean': 3.0}})):
        module = student(teacher, weights=weights, **options)
        losses = module.losses(batch)
        outputs = outputs_at(module.network(module.normalized(batch['image'])), SIZE)
        target = teacher.moments(batch['image'], SIZE).depth
        expected = 3 * depth_mean_l1(target, outputs.depth, batch['depth'] > 0)
        assert torch.allclose(losses['depth_mean'], expected, atol=1e-5)
        assert not torch.allclose(losses['depth_mean'], 3 * depth_mean_l1(target, outputs.depth))
    off = {'mode': 'fixed', 'fixed': {'depth_mean': 0.0}}
    assert 'depth_mean' not in student(teacher, weights=off, depth_mean_weight=1.0).losses(batch)


@pytest.mark.slow
def test_the_mean_depth_of_the_teacher_reaches_pixels_of_unknown_depth(teacher):
    """Without any truth in the batch the student's depth comes nearer to its teacher's."""
    module, batch = student(teacher, depth_mean_weight=1.0), small_batch()
    batch['depth'].zero_()
    module.network.train()
    optimizer = torch.optim.AdamW(module.network.parameters(), lr=3e-3)
    first = float(module.losses(batch)['depth_mean'])
    for _ in range(25):
        optimizer.zero_grad()
        module.losses(batch)['depth_mean'].backward()
        optimizer.step()
    assert float(module.losses(batch)['depth_mean']) < 0.5 * first


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it(saved):
    teacher = Ensemble([saved('a', 1)])
    losses = student(teacher, small_network(1), depth_mean_weight=1.0).losses(small_batch())
    assert float(losses['kl']) < 1e-4 and float(losses['rmsle']) < 1e-3
    assert float(losses['depth_mean']) < 1e-4


@pytest.mark.slow
def test_only_the_teachers_copy_is_jittered_and_each_image_by_itself(teacher, monkeypatch):
    module = student(teacher, jitter=[0.5, 0.5, 0.5, 0.2])
    batch = small_batch()
    batch['image'][1] = batch['image'][0]
    before = batch['image'].clone()
    seen = []
    moments = teacher.moments
    monkeypatch.setattr(teacher, 'moments',
                        lambda images, *args, **kw: seen.append(images) or moments(
                            images, *args, **kw))
    torch.manual_seed(0)
    with_jitter = module.losses(batch)
    assert torch.equal(batch['image'], before), "the student's own view was changed"
    assert not torch.equal(seen[0], before) and not torch.equal(seen[0][0], seen[0][1])
    plain = student(teacher).losses(batch)
    assert torch.allclose(with_jitter['ce'], plain['ce'])
    assert not torch.allclose(with_jitter['kl'], plain['kl'])


def test_the_teacher_gets_no_gradient_and_is_not_in_the_students_state(teacher):
    module = student(teacher)
    before = [p.clone() for member in teacher.members for p in member.network.parameters()]
    torch.stack(list(module.losses(small_batch()).values())).sum().backward()
    after = [p for member in teacher.members for p in member.network.parameters()]
    assert all(p.grad is None for p in after)
    assert all(torch.equal(a, b) for a, b in zip(before, after))
    own = sum(p.numel() for p in module.network.parameters())
    assert sum(p.numel() for p in module.parameters()) == own
    assert not any('teacher' in name for name in module.state_dict())


@pytest.mark.slow
def test_distillation_lowers_kl_and_rmsle_on_a_fixed_batch(teacher):
    module, batch = student(teacher), small_batch()
    module.network.train()
    optimizer = torch.optim.AdamW(module.network.parameters(), lr=3e-3)
    first = {name: float(value) for name, value in module.losses(batch).items()}
    for _ in range(25):
        optimizer.zero_grad()
        losses = module.losses(batch)
        (losses['kl'] + losses['rmsle']).backward()
        optimizer.step()
    last = {name: float(value) for name, value in module.losses(batch).items()}
    assert last['kl'] < 0.5 * first['kl'], (first, last)
    assert last['rmsle'] < 0.5 * first['rmsle'], (first, last)


@pytest.mark.slow
def test_random_members_answer_each_step_where_asked(teacher, monkeypatch):
    asked = []
    monkeypatch.setattr(teacher, 'moments', lambda *args, members=None, **kw: asked.append(
        members) or Ensemble.moments(teacher, *args, members=members, **kw))
    module, batch = student(teacher, members_per_step=1), small_batch()
    for step in range(8):
        torch.manual_seed(step)
        module.losses(batch)
    assert {len(members) for members in asked} == {1}
    assert {members[0] for members in asked} == {0, 1}


@pytest.mark.slow
def test_mse_needs_a_teacher_for_the_variance(teacher):
    losses = student(teacher, loss={'depth': 'mse'}).losses(small_batch())
    assert 'mse' in losses and 'rmsle' in losses
    with pytest.raises(RecipeError, match="'loss.depth'.*'mse'"):
        student(teacher, loss={'depth': 'mse'}, rmsle_weight=0)
    fixed = {'mode': 'fixed', 'fixed': {'rmsle': 0.0}}
    with pytest.raises(RecipeError, match="'loss.depth'.*'mse'"):
        student(teacher, loss={'depth': 'mse'}, weights=fixed)
    # The weight in force counts, not the one that it takes the place of.
    student(teacher, loss={'depth': 'mse'}, rmsle_weight=0,
            weights={'mode': 'fixed', 'fixed': {'rmsle': 2.0}})
    with pytest.raises(RecipeError, match="'loss.depth'.*'huber'"):
        Baseline(small_network(), small_recipe(loss={'depth': 'huber'}), Parts(MEAN, STD))


def test_a_teacher_that_does_not_fit_is_refused_before_training(saved):
    teacher = Ensemble([saved('s', tasks=('segmentation',))])
    with pytest.raises(RecipeError, match="'network.tasks'.*'depth'"):
        student(teacher)
    # As many, in another order: every label would be learned wrongly, without a word.
    with pytest.raises(RecipeError, match="class 0 is 'wall' and 'box': .*same order; "
                                          '.*method=baseline'):
        student(teacher, small_network(tasks=('segmentation',)), classes=CLASSES[::-1])
    with pytest.raises(RecipeError, match="members_per_step' is 5"):
        student(teacher, small_network(tasks=('segmentation',)), members_per_step=5)


def test_a_copy_of_the_student_shares_the_teacher(teacher):
    """The moving average of the weights is such a copy: ten networks more would be in memory."""
    module = student(teacher)
    assert copy.deepcopy(module)._teacher.value is teacher
