# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The folded heads are the published ones up to rounding: the proof that speed costs nothing."""

from __future__ import annotations

import copy
import functools

from core_bench import make_network, randomize_norms
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.mlp_head import MLPHead
from emu_perception.networks.multitask import (
    DEPTH,
    MultitaskNetwork,
    outputs_at,
    SEGMENTATION,
    TASKS,
)
import pytest
from rounding import EXACT
import torch
from torch.nn import functional as F

NETWORKS = [('mit_b0', None), ('tf_efficientnet_lite0', 'pyramid_pooling'),
            ('tf_efficientnet_lite0', 'transformer'), ('resnet18', None)]
SIZES = [(96, 128), (75, 101), (33, 65)]  # The last two leave remainders at every stride.


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return max|a-b| / max|a|."""
    return float((a - b).abs().max() / a.abs().max())


def as_near(exact: torch.Tensor, published: torch.Tensor, *others: torch.Tensor) -> bool:
    """
    Tell whether other forms are about as near to float64 as the published form is itself.

    Four times its own error, for sums of another order and length: what rounding does to a
    network of this depth is measured beside it, on the machine that runs the test.
    """
    allowed = 4 * relative(exact, published.double())
    return all(relative(exact, other.double()) <= allowed for other in others)


def flips(a: torch.Tensor, b: torch.Tensor) -> tuple[int, int]:
    """Return pixels whose label differs: of all, and of those that rounding cannot explain."""
    error = float((a - b).abs().max())
    differs = a.argmax(1) != b.argmax(1)
    best = a.movedim(1, -1)[differs].topk(2).values
    return int(differs.sum()), int((best[:, 0] - best[:, 1] > 2 * error).sum())


def logits(raw: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the logits at the image's size."""
    return F.interpolate(raw[SEGMENTATION], scale_factor=4, mode='bilinear')


@functools.cache
def trained(encoder: str, context: str | None) -> MultitaskNetwork:
    """Return a network that several tests read and none changes."""
    return make_network(encoder, TASKS, 40, 64, context=context)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('encoder', 'context'), NETWORKS)
def test_folded_equals_published_in_float32(encoder, context, size):
    network = trained(encoder, context)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        published, folded = network.forward_published(images), network.folded()(images)
        ours = network(images)
        exact = copy.deepcopy(network).double().forward_published(images.double())
    for task, channels in ((SEGMENTATION, 40), (DEPTH, 2)):
        assert folded[task].shape == (2, channels, -(-size[0] // 4), -(-size[1] // 4))
        assert as_near(exact[task], published[task], folded[task], ours[task])


@pytest.mark.parametrize('tasks', [(DEPTH, SEGMENTATION), (SEGMENTATION,), (DEPTH,)])
def test_each_set_of_tasks_folds_to_its_own_heads(tasks):
    network = make_network('resnet18', tasks)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        published, folded = network.forward_published(images), network.folded()(images)
        exact = copy.deepcopy(network).double().forward_published(images.double())
    assert list(published) == list(folded) == list(tasks)
    for task in tasks:
        assert as_near(exact[task], published[task], folded[task])


@pytest.mark.slow
@pytest.mark.parametrize(('encoder', 'context'), NETWORKS)
def test_labels_over_a_million_pixels_differ_only_within_rounding(encoder, context):
    # 2.5 million, with all four networks.
    network = trained(encoder, context)
    folded = network.folded()
    head = network.heads[SEGMENTATION]
    for _ in range(2):
        images = torch.randn(1, 3, 480, 640)
        with torch.no_grad():
            features = network.features(images)
            published, quarter = head.forward_published(features), folded.heads(features)
            exact = copy.deepcopy(head).double().forward_published([x.double() for x in features])
            a, b = logits({SEGMENTATION: published}), logits(quarter)
        assert a.shape == (1, 40, 480, 640)
        # Upsampling is a mean, which makes no error larger.
        assert as_near(exact, published, quarter[SEGMENTATION])
        assert flips(a, b)[1] == 0


@pytest.mark.slow
def test_labels_over_a_million_pixels_are_equal_in_float64():
    network = trained('mit_b0', None)
    head = copy.deepcopy(network.heads[SEGMENTATION]).double()
    folded = FoldedHeads({SEGMENTATION: head})
    pixels = 0
    for _ in range(4):
        with torch.no_grad():
            features = [x.double() for x in network.features(torch.randn(1, 3, 480, 640))]
            a = logits({SEGMENTATION: head.forward_published(features)})
            b = logits(folded(features))
        assert relative(a, b) < EXACT
        assert flips(a, b)[0] == 0
        pixels += a[:, 0].numel()
    assert pixels > 1_000_000


def test_ten_heads_on_one_encoder_fold_into_one_product_a_scale():
    channels = (8, 12, 16, 20)
    heads = {f'head{i}': MLPHead(channels, 16 + i, 3 + i).eval() for i in range(10)}
    for head in heads.values():
        randomize_norms(head)
    folded = FoldedHeads(heads)
    features = [torch.randn(1, c, 40 // s, 56 // s) for c, s in zip(channels, (1, 2, 4, 8))]
    with torch.no_grad():
        outputs = folded(features)
        for name, head in heads.items():
            exact = copy.deepcopy(head).double().forward_published([x.double() for x in features])
            assert as_near(exact, head.forward_published(features), outputs[name])
    assert [folded.get_buffer(f'weight{i}').shape for i in range(4)] == [
        (sum(range(16, 26)), c) for c in channels]


@pytest.mark.parametrize('dropout', [0.0, 0.1])
def test_training_forward_equals_published_with_gradients_in_float64(dropout):
    head = MLPHead((8, 12, 16, 20), 16, 5, dropout).double().train()
    randomize_norms(head)
    results = []
    for forward in (head.forward_published, head.forward):
        torch.manual_seed(5)  # the same dropped channels, the same maps
        features = [torch.randn(2, c, 19 // s + 1, 27 // s + 1, dtype=torch.float64,
                                requires_grad=True)
                    for c, s in zip((8, 12, 16, 20), (1, 2, 4, 8))]
        head.norm.running_mean.zero_()
        head.zero_grad()
        output = forward(features)
        output.square().mean().backward()
        results.append({'output': output.detach(), 'statistics': head.norm.running_mean.clone(),
                        **{f'feature {i}': x.grad for i, x in enumerate(features)},
                        **{name: p.grad.clone() for name, p in head.named_parameters()}})
    published, ours = results
    # A batch norm in training removes a constant: the gradient of the biases before it is 0.
    scale = float(published['fuse.weight'].abs().max())
    for name, value in published.items():
        assert value.shape == ours[name].shape
        assert float((value - ours[name]).abs().max()) < EXACT * max(
            scale, float(value.abs().max())), name
    assert float(published['fuse.weight'].abs().max()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(('encoder', 'context'), NETWORKS)
def test_whole_network_trains_alike_with_either_form(encoder, context):
    network = make_network(encoder, TASKS, 3, 8, context=context, head_dropout=0.0,
                           encoder_arguments={'drop_path_rate': 0.0}).double().train()
    images = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    gradients = []
    for forward in (network.forward_published, network.forward):
        network.zero_grad()
        torch.stack([x.square().mean() for x in forward(images).values()]).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()
                                    if p.grad is not None]))
    assert float(gradients[0].abs().max()) > 0
    assert relative(*gradients) < 1e-9


def test_folding_leaves_the_trained_network_as_it_was():
    network = make_network('resnet18').train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = network.folded()
    assert network.training and not folded.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    with torch.no_grad():
        folded(torch.randn(1, 3, 64, 64))
        network.heads[DEPTH].norm.running_mean.add_(1.0)
        next(iter(network.encoder.parameters())).mul_(2.0)
        first = next(iter(folded.encoder.parameters()))
    assert torch.equal(first, before[next(iter(network.state_dict()))])
    before['heads.depth.norm.running_mean'] += 1.0
    before[next(iter(before))] *= 2.0
    assert all(torch.equal(before[name], tensor)
               for name, tensor in network.state_dict().items())


def test_the_depth_head_starts_at_the_datas_mean_and_variance():
    network = MultitaskNetwork('mit_b0', head_dim=16).eval()
    network.initialize_depth(2.5, 0.7)
    with torch.no_grad():
        outputs = outputs_at(network(torch.randn(1, 3, 64, 64)), (64, 64))
    assert float(outputs.depth.mean()) == pytest.approx(2.5, abs=0.1)
    assert float(outputs.depth_variance.mean()) == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize('variance', [0.0, float('nan'), 1e4])
def test_the_depth_head_starts_finite_whatever_the_datas_variance(variance):
    network = MultitaskNetwork('mit_b0', head_dim=16)
    network.initialize_depth(2.5, variance)
    assert torch.isfinite(network.heads[DEPTH].classifier.bias).all()


def test_variance_is_positive_where_softplus_underflows():
    raw = torch.full((1, 2, 4, 4), -300.0, dtype=torch.float16)
    outputs = outputs_at({DEPTH: raw}, (8, 8))
    assert outputs.logits is None
    assert outputs.depth.dtype == outputs.depth_variance.dtype == torch.float32
    assert float(outputs.depth.max()) == 0.0 and float(outputs.depth_variance.min()) > 0.0


def test_activations_come_after_upsampling():
    # Between a raw mean of -1 and one of 1 the upsampled map crosses 0 before the ReLU does.
    raw = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).repeat(1, 2, 1, 1)
    outputs = outputs_at({DEPTH: raw}, (1, 8))
    wide = F.interpolate(raw, size=(1, 8), mode='bilinear', align_corners=False)
    assert torch.equal(outputs.depth, wide[:, 0].clamp(min=0))
    assert torch.allclose(outputs.depth_variance, F.softplus(wide[:, 1]) + 1e-6)
