# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Autocast as every torch takes it."""

from __future__ import annotations

from emu_perception.precisions import autocast, DTYPES
import pytest
import torch


@pytest.mark.parametrize('name', ['fp32', 'bf16'])
def test_a_network_computes_in_the_precision_that_is_asked_for(name):
    layer = torch.nn.Linear(4, 3)
    with autocast(torch.device('cpu'), DTYPES[name]):
        assert layer(torch.ones(2, 4)).dtype is DTYPES[name]


def test_an_old_torch_is_not_told_of_a_type_that_it_refuses(monkeypatch):
    """Torch 2.0 on a CPU raises for float32, even where autocast is off: no image would pass."""
    def refusing(device: str, dtype: torch.dtype | None, *, enabled: bool) -> bool:
        assert dtype in (None, torch.bfloat16)
        return enabled
    monkeypatch.setattr(torch, 'autocast', refusing)
    assert not autocast(torch.device('cpu'), torch.float32)
    assert autocast(torch.device('cpu'), torch.bfloat16)
