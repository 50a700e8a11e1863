# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Small networks with a full set of everything, and images to show them."""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path

from core_bench import make_metadata, make_network
from cuda_bench import pretend_cuda, Runtime
from emu_perception.backends import openvino_graphs
from emu_perception.backends.openvino_conversion import converted_models
from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
import numpy as np
import pytest
import torch


@pytest.fixture(scope='session', autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: these networks are so small that more threads only wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Make every test the same on each run."""
    torch.manual_seed(0)


@pytest.fixture
def network() -> MultitaskNetwork:
    """Return a SegDepthFormer with random weights and random batch norm statistics."""
    return make_network()


@pytest.fixture
def metadata(network: MultitaskNetwork) -> CheckpointMetadata:
    """Return a full document for ``network``."""
    return make_metadata(network)


@pytest.fixture
def checkpoint(network: MultitaskNetwork, metadata: CheckpointMetadata, tmp_path: Path) -> Path:
    """Return the path of a checkpoint of both."""
    path = tmp_path / 'model.safetensors'
    save_checkpoint(path, network, metadata)
    return path


@pytest.fixture
def image() -> np.ndarray:
    """Return noise of a common camera's size."""
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return what the package logs, from INFO up."""
    with caplog.at_level(logging.INFO, logger='emu_perception'):
        yield caplog


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Let backend 'cuda' run on the CPU; returns the runtimes that are made."""
    return pretend_cuda(monkeypatch)


@pytest.fixture(autouse=True)
def _graphs_of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Let no graph come from another test, and be converted here: a process for each takes seconds.

    test_openvino_conversion.py has the processes.
    """
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(openvino_graphs, 'models_of', converted_models)
