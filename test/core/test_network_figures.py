# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The networks have the size of the paper's (EMUFormer, Table 1): MiT-B2 with D = 768."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emu_perception.networks.multitask import MultitaskNetwork
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters_m(network: nn.Module) -> float:
    """Return millions of parameters."""
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def gmac(function: Callable[[torch.Tensor], Any]) -> float:
    """Return the multiply-accumulates of one image of NYUv2's size, in units of 1e9."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function(torch.zeros(1, 3, 480, 640, device='meta'))
    return counter.get_total_flops() / 2e9


@pytest.fixture(scope='module')
def networks() -> dict[tuple[str, int], nn.Module]:
    """Return the paper's networks, without memory behind them."""
    return {(name, classes): network.eval().to('meta')
            for classes in (19, 40) for name, network in (
                ('segformer', MultitaskNetwork('mit_b2', ('segmentation',), classes,
                                               head_dim=768)),
                ('depthformer', MultitaskNetwork('mit_b2', ('depth',), head_dim=768)),
                ('segdepthformer', MultitaskNetwork('mit_b2', num_classes=classes, head_dim=768)))}


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'classes', 'millions'), [
    ('segformer', 40, 27.38), ('segdepthformer', 40, 30.53)])
def test_parameters_of_b2_with_nyuv2s_classes_are_the_papers(networks, name, classes, millions):
    assert parameters_m(networks[name, classes]) == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(('name', 'millions'), [
    ('segformer', 27.361), ('depthformer', 27.348), ('segdepthformer', 30.513)])
def test_parameters_of_b2_with_cityscapes_classes_are_the_papers_to_its_last_digit(
        networks, name, millions):
    assert round(parameters_m(networks[name, 19]), 3) == millions


@pytest.mark.parametrize(('name', 'expected'), [('segformer', 72.2), ('segdepthformer', 119.4)])
def test_macs_of_b2_as_published_are_the_papers(networks, name, expected):
    assert gmac(networks[name, 40].forward_published) == pytest.approx(expected, rel=0.01)


def test_folded_b2_does_no_work_beyond_the_folded_products(networks):
    # 24.5 for the encoder, 4.28 for both heads: a quarter of the published layout's.
    network = MultitaskNetwork('mit_b2', num_classes=40, head_dim=768).folded().to('meta')
    assert gmac(network) == pytest.approx(28.8, rel=0.005)


def test_training_forward_adds_only_the_composition_of_the_weights(networks):
    # 768·768·(64 + 128 + 320 + 512) for each of two heads, once a step whatever the batch.
    composition = 2 * 768 * 768 * (64 + 128 + 320 + 512) / 1e9
    assert gmac(networks['segdepthformer', 40]) == pytest.approx(28.77 + composition, rel=0.001)
