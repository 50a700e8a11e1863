# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the terms: the paper's forms by hand, and runs that learn them with every method."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from emu_perception.checkpoint import load_checkpoint
import pytest
from rounding import FEW, rounding
import torch
from torch import nn
from training.fit import fit, main
from training.losses.task_weights import noise_form, TaskWeights
from training.methods.module import TrainingModule
from training.methods.optimization import make_optimizer
from training.recipes.options import explained, RecipeError
from training.recipes.recipe import load_recipe, Recipe
from training.recipes.sections import LossWeightsOptions, OptimizerRecipe
import yaml

FIELDS = {
    'name': 'synthetic', 'input_size': [96, 128], 'batch_size': 2, 'epochs': 2,
    'network': {'encoder': 'resnet10t', 'head_dim': 16},
    'optimizer': {'learning_rate': 1e-3, 'head_factor': 2.0, 'gradient_clip': 5.0}}
# Term: (L, s) -> the paper's form, written out.
FORMS = {
    'ce': lambda loss, s: math.exp(-s) * loss + s / 2,
    'kl': lambda loss, s: math.exp(-s) * loss + s / 2,
    'mse': lambda loss, s: math.exp(-s) * loss / 2 + s / 2,
    'inverse_mse': lambda loss, s: math.exp(-s) * loss / 2 + s / 2,
    'huber': lambda loss, s: math.exp(-s) * loss + s / 2,
    'inverse_l1': lambda loss, s: math.exp(-s) * loss + s,
    'instance_l1': lambda loss, s: math.exp(-s) * loss + s,
    'rmsle': lambda loss, s: math.exp(-s) * loss + s,
    'depth_mean': lambda loss, s: math.exp(-s) * loss + s,
    # Both are mean absolute errors, of logarithms.
    'mutual_information': lambda loss, s: math.exp(-s) * loss + s,
    'depth_epistemic': lambda loss, s: math.exp(-s) * loss + s,
    'lovasz': lambda loss, s: math.exp(-s) * loss + s / 2}


def weights(given: dict[str, float], **options: object) -> TaskWeights:
    return TaskWeights(LossWeightsOptions(**options), given)


@pytest.mark.parametrize('term', FORMS)
def test_a_learned_term_and_its_gradients_are_the_papers_form(term):
    loss, start = 0.7, -0.4
    module = weights({term: 10.0}, mode='learned', initial={term: start})
    bare = torch.tensor(loss, requires_grad=True)
    value = module({term: bare})[term]
    value.backward()
    assert float(value) == pytest.approx(FORMS[term](loss, start), abs=rounding(FEW))
    step = 1e-4
    by_loss = (FORMS[term](loss + step, start) - FORMS[term](loss - step, start)) / (2 * step)
    by_s = (FORMS[term](loss, start + step) - FORMS[term](loss, start - step)) / (2 * step)
    assert float(bare.grad) == pytest.approx(by_loss, rel=1e-4)
    assert float(module.s[term].grad) == pytest.approx(by_s, rel=1e-4)
    curves = module.curves()
    assert float(curves[f'weight/{term}']) == pytest.approx(by_loss, rel=1e-4)
    assert float(curves[f'noise/{term}']) == pytest.approx(
        math.exp(start), rel=rounding(FEW))


@pytest.mark.parametrize(('term', 'loss', 'noise'), [
    ('mse', 0.09, 0.09),         # The variance is the mean squared error.
    ('huber', 0.045, 0.09),      # Half of it is what huber gives.
    ('inverse_l1', 0.3, 0.3),    # The scale of a Laplace noise is the mean absolute error.
    ('ce', 0.25, 0.5)])
def test_the_minimum_over_s_is_at_the_noise_that_the_errors_have(term, loss, noise):
    module = weights({term: 1.0}, mode='learned')
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        module({term: torch.tensor(loss)})[term].backward()
        optimizer.step()
    assert float(module.s[term].exp()) == pytest.approx(noise, rel=1e-3)


def test_likelihoods_keep_weight_one_and_no_second_noise():
    """Their value may be negative: exp(-s) L + ½ s would have no lower bound."""
    for term in ('gnll', 'beta_nll'):
        module = weights({'ce': 1.0, term: 7.0}, mode='learned')
        assert list(module.s) == ['ce']
        value = module({'ce': torch.tensor(1.0), term: torch.tensor(-3.0)})[term]
        assert float(value) == -3.0
        assert term in module.description() and f'{term} 7' in module.description()


def test_a_term_without_truth_in_a_batch_says_nothing_of_its_noise():
    module = weights({'ce': 1.0}, mode='learned', initial=2.0)
    loss = module({'ce': torch.tensor(0.0, requires_grad=True)})['ce']
    loss.backward()
    assert float(loss) == 0.0 and float(module.s['ce'].grad) == 0.0


def test_a_term_that_is_switched_off_stays_off_where_weights_are_learned():
    module = weights({'ce': 1.0, 'kl': 0.0, 'gnll': 0.0}, mode='learned', initial=-2.0)
    bare = {term: torch.tensor(3.0, requires_grad=True) for term in ('ce', 'kl', 'gnll')}
    losses = module(bare)
    torch.stack(list(losses.values())).sum().backward()
    assert list(module.s) == ['ce'] and float(losses['ce']) != 0.0
    for term in ('kl', 'gnll'):
        assert float(losses[term]) == 0.0 and float(bare[term].grad) == 0.0
    assert 'off: kl, gnll' in module.description()


def test_equal_is_what_it_was_bit_for_bit_with_nothing_to_learn():
    module = weights({'ce': 1.0, 'kl': 10.0})
    one, two = torch.tensor(0.1234567), torch.tensor(0.7654321)
    losses = module({'ce': one, 'kl': two})
    assert torch.equal(losses['ce'], one) and torch.equal(losses['kl'], 10.0 * two)
    assert not list(module.parameters()) and not module.parameter_groups(1.0)
    assert module.curves() == {} and module.state_dict() == {}


def test_fixed_weights_replace_those_they_name():
    module = weights({'ce': 1.0, 'kl': 10.0}, mode='fixed', fixed={'kl': 2})
    losses = module({'ce': torch.tensor(3.0), 'kl': torch.tensor(3.0)})
    assert float(losses['ce']) == 3.0 and float(losses['kl']) == 6.0
    assert not list(module.parameters())


@pytest.mark.parametrize(('options', 'words'), [
    ({'mode': 'fixed', 'fixed': {'depth': 1.0}}, ('loss_weights.fixed', "'depth'", 'ce, gnll')),
    ({'mode': 'fixed', 'fixed': {'ce': -1.0}}, ('loss_weights.fixed.ce', '-1', '0 or more')),
    ({'mode': 'fixed', 'fixed': {'ce': 'much'}}, ('loss_weights.fixed.ce', "'much'")),
    ({'mode': 'fixed'}, ('loss_weights.fixed', 'empty', 'ce, gnll')),
    ({'mode': 'learned', 'initial': {'gnl': 1.0}}, ('loss_weights.initial', "'gnl'", 'ce, gnll')),
    ({'mode': 'learned', 'initial': {'ce': 99}}, ('loss_weights.initial.ce', '99', '30')),
    ({'mode': 'learned', 'fixed': {'ce': 1.0}}, ('loss_weights.fixed', "'learned'", 'fixed')),
    ({'initial': {'ce': 1.0}}, ('loss_weights.initial', "'equal'", 'learned')),
    ({'mode': 'fixed', 'fixed': {'ce': 1.0}, 'initial': 2.0}, ('loss_weights.initial', "'fixed'")),
])
def test_what_cannot_be_weighed_is_one_line_that_lists_the_terms(options, words):
    with pytest.raises(RecipeError) as caught:
        weights({'ce': 1.0, 'gnll': 1.0}, **options)
    assert '\n' not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def recipe_for(synthetic: Path, tmp_path: Path, *overrides: str, **fields: object) -> Recipe:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(synthetic), 'output': str(tmp_path),
                                    **fields}))
    return load_recipe(path, overrides)


@pytest.mark.parametrize(('fields', 'overrides', 'mode', 'initial'), [
    ({}, [], 'equal', 0.0),
    ({'loss_weights': 'learned'}, [], 'learned', 0.0),
    ({'loss_weights': {'mode': 'learned', 'initial': 1}}, [], 'learned', 1.0),
    ({'loss_weights': {'initial': 2.0}}, ['loss_weights=learned'], 'learned', 2.0),
    ({'loss_weights': 'learned'}, ['loss_weights.initial=-1'], 'learned', -1.0),
    ({}, ['loss_weights=learned', 'loss_weights.initial={ce: 1.5}'], 'learned', {'ce': 1.5}),
    ({'loss_weights': {'fixed': {'ce': 2.0}}}, [], 'fixed', 0.0),
    ({}, ['loss_weights={fixed: {ce: 2.0}}'], 'fixed', 0.0)])
def test_the_short_and_the_long_forms_of_a_recipe_agree(tmp_path, fields, overrides, mode,
                                                        initial):
    found = recipe_for(tmp_path, tmp_path, *overrides, **fields).loss_weights
    assert (found.mode, found.initial) == (mode, initial)
    if mode == 'fixed':
        assert found.fixed == {'ce': 2.0}


def test_words_that_are_no_mode_are_refused_and_the_help_says_what_gnll_does(tmp_path):
    with pytest.raises(RecipeError, match="'loss_weights.mode' is 'lerned'"):
        recipe_for(tmp_path, tmp_path, 'loss_weights=lerned')
    with pytest.raises(RecipeError, match="'loss_weights.initial' is None: give a number"):
        recipe_for(tmp_path, tmp_path, 'loss_weights.initial=null')
    text = '\n'.join(explained(Recipe))
    assert 'loss_weights.mode' in text and 'gnll and beta_nll' in text


class Toy(nn.Module):

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(2, 2), nn.Linear(2, 2)


@pytest.mark.parametrize('kind', ['adamw', 'sgd'])
def test_s_has_its_own_learning_rate_and_no_decay(kind):
    module = weights({'ce': 1.0, 'mse': 1.0}, mode='learned', initial=3.0,
                     learning_rate_factor=50.0)
    recipe = OptimizerRecipe(kind=kind, learning_rate=1e-3, weight_decay=0.5)
    optimizer, _ = make_optimizer(Toy(), recipe, 10,
                                  module.parameter_groups(recipe.learning_rate))
    group = optimizer.param_groups[-1]
    assert {id(p) for p in group['params']} == {id(p) for p in module.parameters()}
    assert group['initial_lr'] == pytest.approx(0.05) and group['weight_decay'] == 0.0
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert all(float(p) == 3.0 for p in module.parameters()), 's was pulled to 0'


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'depth', 'learned', 'extra'), [
    ('baseline', 'gnll', {'ce'}, []),
    ('mc_dropout', 'beta_nll', {'ce'}, []),
    ('sub_ensemble', 'gnll', {'ce'}, ['sub_ensemble.heads=2', 'ema_decay=0.5']),
    ('emuformer', 'huber', {'ce', 'huber', 'kl', 'rmsle'}, ['ema_decay=0.5']),
    ('emuformer', 'gnll', {'ce', 'kl', 'rmsle', 'depth_mean'},
     ['emuformer.depth_mean_weight=1'])])
def test_every_method_learns_its_weights(synthetic, tmp_path, method, depth, learned, extra):
    """Their curves are logged, the network that is written has none of them."""
    if method == 'emuformer':
        teacher = fit(recipe_for(synthetic, tmp_path, 'epochs=1', 'name=teacher'), progress=False)
        extra = [*extra, f'emuformer.teacher=[{teacher}]']
    epochs = 5  # Ten steps: curves are logged every ten.
    best = fit(recipe_for(synthetic, tmp_path, 'loss_weights=learned', f'method={method}',
                          f'loss.depth={depth}', f'epochs={epochs}', f'validate_every={epochs}',
                          'loss_weights.learning_rate_factor=30', *extra), progress=False)
    with (best.parent / 'logs/start_0/metrics.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert {name.partition('/')[2] for name in rows[0] if name.startswith('s/')} == learned
    row = next(row for row in rows if row['s/ce'])
    for term in learned:
        s = float(row[f's/{term}'])
        assert s != 0.0, f'{term} did not learn'
        assert float(row[f'noise/{term}']) == pytest.approx(math.exp(s), rel=1e-4)
        assert float(row[f'weight/{term}']) == pytest.approx(
            noise_form(term)[0] * math.exp(-s), rel=1e-4)
    network, _ = load_checkpoint(best)
    assert not any('task_weights' in name or name.startswith('s.')
                   for name in network.state_dict())
    state = torch.load(best.parent / 'state/last.ckpt', weights_only=False)['state_dict']
    assert {name.rpartition('.')[2] for name in state if 'task_weights' in name} == learned


@pytest.mark.slow
def test_resume_continues_s_bit_for_bit(synthetic, tmp_path, power_cut):
    def recipe(name):
        return recipe_for(synthetic, tmp_path, 'epochs=3', f'name={name}', 'loss_weights=learned',
                          'augmentation.scale=[0.7, 1.5]', 'validate_every=2')
    fit(recipe('straight'), progress=False)
    power_cut(recipe('cut'))
    fit(recipe('cut'), resume=True, progress=False)
    straight, resumed = (torch.load(tmp_path / name / 'state/last.ckpt', weights_only=False)
                         for name in ('straight', 'cut'))
    for name, tensor in straight['state_dict'].items():
        assert torch.equal(tensor, resumed['state_dict'][name]), f'{name} differs after resume'
    assert float(straight['state_dict']['task_weights.s.ce']) != 0.0


@pytest.mark.slow
def test_a_total_below_zero_trains_on(synthetic, tmp_path, monkeypatch):
    """A well-known task has a small noise, and ½ log of it is below zero."""
    terms = TrainingModule.terms
    monkeypatch.setattr(TrainingModule, 'terms', lambda self, batch: {
        name: 1e-3 * loss for name, loss in terms(self, batch).items()})
    best = fit(recipe_for(synthetic, tmp_path, 'loss_weights=learned', 'epochs=5',
                          'validate_every=5', 'network.tasks=[segmentation]',
                          'loss_weights.initial=-3.0'), progress=False)
    with (best.parent / 'logs/start_0/metrics.csv').open(newline='') as file:
        totals = [float(row['train/loss']) for row in csv.DictReader(file) if row['train/loss']]
    assert totals and max(totals) < 0
    assert (best.parent / 'finished.json').exists()


@pytest.mark.slow
def test_s_that_is_not_finite_stops_with_the_usual_message(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    code = main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', 'epochs=30',
                 'loss_weights=learned', 'optimizer.learning_rate=1',
                 'loss_weights.learning_rate_factor=1000000', 'optimizer.gradient_clip=0'])
    message = capsys.readouterr().err
    assert code == 1 and 'samples [' in message and 'learning_rate' in message, message


def test_a_term_that_this_run_does_not_have_ends_before_training(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress',
                 'loss_weights={fixed: {kl: 2.0}}']) == 1
    message = capsys.readouterr().err
    assert "names 'kl'" in message and 'ce, gnll' in message and message.count('error') == 1
