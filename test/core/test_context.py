# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The transformer on the coarsest map: the identity at the start, then the whole map at once."""

from __future__ import annotations

from emu_perception.networks.context import TransformerContext
import pytest
import torch
from torch import nn


def awake(channels: int = 24) -> TransformerContext:
    """Return one that has left the identity."""
    torch.manual_seed(0)
    context = TransformerContext(channels).eval()
    nn.init.normal_(context.project.weight, std=0.1)
    return context


@pytest.mark.parametrize('size', [(1, 1), (3, 4), (15, 20)])
def test_it_starts_as_the_identity_at_any_size(size):
    x = torch.randn(2, 24, *size)
    assert torch.equal(TransformerContext(24)(x), x)
    assert awake()(x).shape == x.shape and not torch.allclose(awake()(x), x)


def test_one_corner_sees_the_opposite_one():
    """In a map too large for the 3x3 convolutions of two blocks."""
    x = torch.randn(1, 24, 15, 20, requires_grad=True)
    awake()(x)[0, :, 0, 0].sum().backward()
    assert float(x.grad[0, :, -1, -1].abs().max()) > 0


def test_it_knows_where_a_pixel_lies():
    """A map that is the same everywhere, on which attention alone would be so too."""
    y = awake()(torch.ones(1, 24, 6, 8))[0]
    assert not torch.allclose(y[:, 0, 0], y[:, 3, 4], atol=1e-4)


def test_every_parameter_learns_from_the_second_step_on():
    context = TransformerContext(24)
    optimizer = torch.optim.SGD(context.parameters(), lr=0.1)
    x, target = torch.randn(2, 24, 3, 4), torch.randn(2, 24, 3, 4)
    for _ in range(2):
        optimizer.zero_grad()
        (context(x) - target).square().mean().backward()
        optimizer.step()
    still = [name for name, part in context.named_parameters() if not part.grad.any()]
    assert not still, still
