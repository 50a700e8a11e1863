# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Deep sub-ensembles: one pair of heads a batch, in turn, all of them at inference."""

from __future__ import annotations

from emu_perception.networks.multitask import outputs_at
from emu_perception.uncertainty import predictive_moments
from rounding import FEW, rounding
from small_models import small_batch, small_network, small_recipe
import torch
from training.methods import sub_ensemble
from training.methods.parts import Parts
from training.methods.sampling import triple


def trained(steps: int):
    """Return the state before and after so many steps of AdamW, with the network."""
    network = small_network(num_heads=3)
    recipe = small_recipe(method='sub_ensemble', sub_ensemble={'heads': 3})
    module = sub_ensemble.SubEnsemble(network, recipe, Parts((0.5,) * 3, (0.5,) * 3))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batch = small_batch()
    for step in range(steps):
        type(module).global_step = property(lambda self, step=step: step)
        torch.stack(list(module.losses(batch).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    del type(module).global_step
    return before, network.state_dict()


def changed(before, after, pair: int) -> set[str]:
    """Return which tensors of a pair's heads have changed."""
    names = {0: ('heads.segmentation.', 'heads.depth.')}.get(
        pair, (f'heads.segmentation_{pair}.', f'heads.depth_{pair}.'))
    return {name for name in before if name.startswith(names)
            and not torch.equal(before[name], after[name])}


def test_a_step_trains_one_pair_and_leaves_the_others_batch_norms_and_weights_alone():
    before, after = trained(1)
    assert changed(before, after, 0), 'the pair whose turn it was has learned nothing'
    assert not changed(before, after, 1) and not changed(before, after, 2)
    assert not torch.equal(before['encoder.model.conv1.0.weight'],
                           after['encoder.model.conv1.0.weight'])


def test_pairs_take_turns():
    before, after = trained(3)
    for pair in range(3):
        norms = {name for name in changed(before, after, pair) if 'running_mean' in name}
        assert len(norms) == 2, f'pair {pair} had no turn'


def test_all_pairs_answer_and_the_encoder_runs_once():
    network = small_network(num_heads=3).eval()
    calls = []
    network.encoder.register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(1, 3, 64, 96)
    moments = predictive_moments(triple(outputs_at(raw, (64, 96)))
                                 for raw in sub_ensemble.samples(network, x))
    assert len(calls) == 1
    p = torch.stack([outputs_at(network(x, pair), (64, 96)).logits.softmax(1)
                     for pair in range(3)])
    # The same maps: only their mean is made in another way.
    assert torch.allclose(moments.probabilities, p.mean(0), rtol=0, atol=2 * rounding(FEW))
    assert float(p.std(0).max()) > 0.01, 'the pairs are all the same'
