# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Samples that share what they can are worth those of the plain form, with fewer runs of it."""

from __future__ import annotations

from contextlib import contextmanager
import copy

import pytest
from small_models import small_network
import torch
from torch import nn
from torch.nn import functional
from training.methods import mc_dropout, shared, shared_dropout, sub_ensemble
from training.methods.ensemble import Ensemble
from training.methods.shared import SharedSubEnsemble
from training.methods.shared_dropout import SharedDropout

X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
MIT = {'encoder': 'mit_b0', 'encoder_arguments': {'drop_rate': 0.3}}


def trained(**arguments):
    """Return a network whose norms are as if trained, so that folding has something to fold."""
    network = small_network(**arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


def rounding_of(network) -> float:
    """Return the error of float32 in this network, as a share of its largest value."""
    found, exact = network(X), copy.deepcopy(network).double()(X.double())
    return max(float((found[task] - exact[task]).abs().max() / exact[task].abs().max())
               for task in exact)


def same(network, ours, plain) -> None:
    """Hold samples against those of the plain form; either is off by what float32 is here."""
    ours, plain = list(ours), list(plain)
    allowed = 8 * rounding_of(network)
    assert len(ours) == len(plain)
    for a, b in zip(ours, plain):
        assert a.keys() == b.keys()
        for task in a:
            scale = float(b[task].abs().max())
            assert (a[task] - b[task]).abs().max() <= allowed * scale, task


@torch.no_grad()
@pytest.mark.parametrize('bytes_at_once', [0, 150_000, 2**30])
@pytest.mark.parametrize('tasks', [('segmentation', 'depth'), ('depth',)])
def test_a_sub_ensemble_is_the_same_however_many_pairs_are_one_product(monkeypatch, tasks,
                                                                       bytes_at_once):
    monkeypatch.setitem(shared.PRODUCT_BYTES, 'cpu', bytes_at_once)
    network = trained(num_heads=3, tasks=tasks, context='pyramid_pooling')
    plain = [{k: v.clone() for k, v in raw.items()} for raw in sub_ensemble.samples(network, X)]
    products = []
    whole = shared.hidden_map
    monkeypatch.setattr(shared, 'hidden_map',
                        lambda heads, f: products.append(len(heads)) or whole(heads, f))
    same(network, SharedSubEnsemble(network).samples(X), plain)
    if bytes_at_once == 0:
        assert products == [1, 1, 1]
    elif bytes_at_once == 2**30:
        assert products == [3]


class Masks:
    """Stands in for dropout: what is dropped follows from the sample, the image and the call."""

    def __init__(self, monkeypatch):
        self.first = self.calls = 0
        for module in (mc_dropout, shared_dropout):
            monkeypatch.setattr(module, 'seeded', self.seeded)
        monkeypatch.setattr(functional, 'dropout', self.drop)
        monkeypatch.setattr(functional, 'dropout2d', self.drop)

    @contextmanager
    def seeded(self, device, seed):
        """Begin with the sample that the seed says, one or several of a group."""
        self.first, self.calls = seed % 1_000, 0
        yield

    def drop(self, x, p, training, inplace=False):
        if not training or p == 0:
            return x
        self.calls += 1
        shape = (*x.shape[1:2], 1, 1) if x.ndim == 4 else x.shape[1:]
        masks = [torch.rand(shape, generator=torch.Generator().manual_seed(
            1_000 * self.calls + 10 * (self.first + row // len(X)) + row % len(X))) >= p
            for row in range(len(x))]
        return x * torch.stack(masks) / (1 - p)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize('arguments', [
    {'head_dropout': 0.4}, {'head_dropout': 0.4, 'stage_dropout': 0.3},
    {'head_dropout': 0.0, 'stage_dropout': 0.3, 'encoder': 'tf_efficientnet_lite0',
     'context': 'pyramid_pooling'},
    {'head_dropout': 0.4, **MIT}, {'head_dropout': 0.4, 'stage_dropout': 0.2, **MIT}])
def test_what_is_dropped_has_the_effect_that_it_has_in_the_plain_form(monkeypatch, arguments):
    """The same channels dropped in the same samples give the same maps, in groups and alone."""
    network = trained(**arguments)
    Masks(monkeypatch)
    plain = [{k: v.clone() for k, v in raw.items()}
             for raw in mc_dropout.samples(copy.deepcopy(network), X, seed=7, count=5)]
    assert not torch.allclose(plain[0]['depth'], plain[1]['depth'], atol=1e-3)
    form = SharedDropout(network, 5)
    for group in (1, 2, 8):
        monkeypatch.setattr(shared_dropout, 'GROUP_SAMPLES', group)
        same(network, form.samples(X, 7), plain)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize('arguments', [
    {'head_dropout': 0.4, 'head_dim': 64}, {'head_dropout': 0.2, 'stage_dropout': 0.3}, MIT])
def test_samples_are_distributed_as_those_of_the_plain_form(arguments):
    """Independent of one another, with the mean and the spread that dropout one by one gives."""
    network, x, count = trained(**arguments), X[:1, :, :32, :32], 150
    plain = torch.stack([raw['depth'].clone() for raw in mc_dropout.samples(
        copy.deepcopy(network), x, seed=1, count=count)]).flatten(1)
    form = SharedDropout(network, count)
    ours, again, other = (torch.stack([raw['depth'] for raw in form.samples(x, seed)]).flatten(1)
                          for seed in (2, 2, 3))
    assert torch.equal(ours, again) and not torch.equal(ours, other)
    assert len(ours.unique(dim=0)) == count, 'a sample came twice'
    error = (plain.var(0) / count + ours.var(0) / count).sqrt()
    assert ((plain.mean(0) - ours.mean(0)).abs() / error).mean() < 2
    assert float(ours.var(0).mean() / plain.var(0).mean()) == pytest.approx(1, abs=0.4)


@torch.no_grad()
def test_what_no_dropout_touches_runs_once():
    calls = []
    network = trained(head_dropout=0.4)
    network.encoder.register_forward_hook(lambda *_: calls.append('encoder'))
    list(SharedDropout(network, 5).samples(X))
    assert calls == ['encoder']
    network = trained(head_dropout=0.4, stage_dropout=0.3)
    network.encoder.model.conv1.register_forward_hook(
        lambda m, a, out: calls.append(('stem', len(out))))
    network.encoder.model.layer4.register_forward_hook(
        lambda m, a, out: calls.append(('last stage', len(out))))
    calls.clear()
    list(SharedDropout(network, 5).samples(X))
    assert calls == [('stem', 2), ('last stage', 10)]


@torch.no_grad()
def test_sampling_leaves_the_random_numbers_alone_and_a_plain_pass_drops_nothing():
    network = trained(head_dropout=0.4, stage_dropout=0.3)
    expected = network(X)['depth']
    form = SharedDropout(network, 3)
    state = torch.get_rng_state()
    samples = form.samples(X)
    next(samples)
    assert torch.equal(torch.get_rng_state(), state), 'while the caller works on a sample, too'
    list(samples)
    assert torch.equal(torch.get_rng_state(), state)
    *fine, coarsest = form.encoder(X)
    again = form.heads([*fine, form.context(coarsest)])['depth']
    assert torch.allclose(again, expected, atol=1e-4)


@pytest.mark.slow
def test_every_member_of_an_ensemble_is_in_its_sharing_form(saved):
    drop = {'recipe': {'method': 'mc_dropout', 'mc_dropout': {'samples': 4}}}
    paths = [saved('one'), saved('heads', 1, num_heads=3),
             saved('drop', 2, provenance=drop, stage_dropout=0.2)]
    ensemble = Ensemble(paths)
    calls = []
    for member in ensemble.members:
        member.network.encoder.register_forward_hook(
            lambda module, arguments, out: calls.append(len(out[-1])))
    ensemble.moments(torch.zeros(1, 3, 64, 96, dtype=torch.uint8), (64, 96))
    assert calls == [1, 1, 4]
    trained_parameters = [sum(p.numel() for p in small_network(**arguments).parameters())
                          for arguments in ({}, {'num_heads': 3}, {})]
    assert ensemble.parameters == sum(trained_parameters)
