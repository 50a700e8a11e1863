# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of a depth head of logarithms by hand; a teacher of either form teaches it."""

from __future__ import annotations

import math

from emu_perception.networks.depth_forms import DEPTH_FORMS, LINEAR
import pytest
from small_models import small_batch, small_network, small_recipe
import torch
from training.losses.depth_distances import DEPTH_DISTANCES, log_depth_l1, log_sigma_rms
from training.losses.terms import depth_loss, depth_mean_l1, gaussian_nll, rmsle
from training.methods.emuformer import EMUFormer
from training.methods.ensemble import Ensemble
from training.methods.parts import Parts

LOG = DEPTH_FORMS['log']
DEPTH = torch.tensor([[[1.0, 2.0, 4.0]]])
VARIANCE = torch.tensor([[[0.01, 0.16, 1.0]]])  # Relative sigma .1, .2, .25.


def test_the_likelihood_is_of_the_logarithm_and_what_is_not_known_does_not_count():
    mean = DEPTH.clone().requires_grad_()
    truth = torch.tensor([[[1.1, 0.0, 3.0]]])
    loss = gaussian_nll(mean, VARIANCE, truth, LOG)
    expected = sum(0.5 * ((math.log(y / d) / s) ** 2 + math.log(s * s))
                   for y, d, s in ((1.1, 1.0, 0.1), (3.0, 4.0, 0.25))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert torch.isfinite(mean.grad).all() and float(mean.grad[0, 0, 1]) == 0.0
    # It is the density's in metres but for what does not depend on the network.
    law = torch.distributions.LogNormal(DEPTH.log(), VARIANCE.sqrt() / DEPTH)
    known = truth > 0
    there = torch.where(known, truth, 1.0)
    metres = -(law.log_prob(there) + there.log() + 0.5 * math.log(2 * math.pi))[known].mean()
    assert loss.item() == pytest.approx(float(metres), rel=1e-5)


@pytest.mark.parametrize('name', ['gnll', 'beta_nll', 'mse', 'huber'])
def test_a_batch_without_depth_is_nothing_with_a_gradient_of_nothing(name):
    options = small_recipe(loss={'depth': name}).loss
    mean = DEPTH.clone().requires_grad_()
    loss = depth_loss(options, LOG)(mean, VARIANCE, torch.zeros_like(DEPTH))
    loss.backward()
    assert loss.item() == 0.0 and not mean.grad.any()


def test_a_teachers_depth_and_sigma_are_compared_as_logarithms_by_hand():
    own = (2.0 * DEPTH, 9.0 * VARIANCE)  # Relative sigma 1.5 times the teacher's.
    assert float(log_depth_l1(DEPTH, VARIANCE, *own)) == pytest.approx(math.log(2), rel=1e-5)
    assert float(log_sigma_rms(DEPTH, VARIANCE, *own)) == pytest.approx(math.log(1.5), rel=1e-5)
    where = torch.tensor([[[True, False, False]]])
    other = (own[0], own[1] * torch.tensor([1.0, 50.0, 50.0]))
    assert float(log_sigma_rms(DEPTH, VARIANCE, *other, where)) == pytest.approx(math.log(1.5),
                                                                               rel=1e-5)


@pytest.mark.parametrize('distance', [log_depth_l1, log_sigma_rms])
def test_a_linear_teacher_that_says_0_metres_or_none_teaches_nothing_there(distance):
    taught = torch.tensor([[[0.0, math.inf, math.nan]]])
    own = DEPTH.clone().requires_grad_()
    loss = distance(taught, VARIANCE, own, VARIANCE)
    loss.backward()
    assert loss.item() == 0.0 and not own.grad.any()


def test_the_papers_form_has_the_papers_terms():
    own = (1.5 * DEPTH, 2.0 * VARIANCE)
    paper = DEPTH_DISTANCES[LINEAR.name]
    assert float(paper.variance(DEPTH, VARIANCE, *own, None)) == float(rmsle(VARIANCE, own[1]))
    assert float(paper.mean(DEPTH, VARIANCE, *own, None)) == float(depth_mean_l1(DEPTH, own[0]))
    assert {*DEPTH_DISTANCES} == {*DEPTH_FORMS}


@pytest.mark.parametrize('forms', [('linear', 'linear'), ('log', 'log'), ('linear', 'log')])
def test_a_student_of_logarithms_learns_from_teachers_of_either_form(saved, forms):
    teacher = Ensemble([saved(f'member{i}', i, depth_output=form)
                        for i, form in enumerate(forms)])
    assert teacher.depth_form is (LOG if forms == ('log', 'log') else LINEAR)
    network, batch = small_network(9, depth_output='log'), small_batch()
    recipe = small_recipe(method='emuformer', emuformer={
        'jitter': [0.0, 0.0, 0.0, 0.0], 'depth_mean_weight': 1.0})
    module = EMUFormer(network, recipe, Parts((0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
                                              teacher=teacher, classes=teacher.classes))
    type(module).global_step = property(lambda self: 0)
    try:
        losses = module.eval().losses(batch)
    finally:
        del EMUFormer.global_step
    size = tuple(batch['label'].shape[-2:])
    outputs = network.outputs_at(network(module.normalized(batch['image'])), size)
    target = teacher.moments(batch['image'], size)
    depths = (target.depth, target.depth_variance, outputs.depth, outputs.depth_variance)
    for name, expected in (('gnll', gaussian_nll(*depths[2:], batch['depth'], LOG)),
                           ('rmsle', log_sigma_rms(*depths)),
                           ('depth_mean', log_depth_l1(*depths))):
        assert torch.allclose(losses[name], expected, atol=1e-5), name
    torch.stack([*losses.values()]).sum().backward()
    gradient = network.depth_layer.get_parameter('weight').grad
    assert torch.isfinite(gradient).all() and (gradient.abs().amax(dim=(1, 2, 3)) > 0).all()
