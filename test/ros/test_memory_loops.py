# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node that is configured and cleaned up, or changes its model, for weeks does not grow."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

from emu_perception.backends import is_installed
from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.visualization import default_palette
import pytest

HERE = Path(__file__).parent
WARM, LOOPS = 5, 20


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two models of the same kind with other weights."""
    paths = []
    for name in ('one', 'two'):
        network = MultitaskNetwork('tf_efficientnet_lite0', ('segmentation', 'depth'), 5, 64,
                                   context='pyramid_pooling').eval()
        paths.append(tmp_path_factory.mktemp('models') / f'{name}.safetensors')
        save_checkpoint(paths[-1], network, CheckpointMetadata(
            architecture=network.arguments, input_size=(96, 128), name=name,
            classes=tuple(f'class {i}' for i in range(5)), palette=tuple(default_palette(5)),
            depth_min=0.1, depth_max=10.0))
    return paths


@pytest.mark.slow
@pytest.mark.parametrize(('what', 'backend'), [
    ('configure', 'openvino'), ('swap', 'openvino'), ('swap', 'eager')])
def test_memory_does_not_grow_with_each_model_that_is_loaded(checkpoints, what, backend):
    """What leaks at each loop, be it a tenth of a model's weights, costs the weights of two."""
    if not is_installed(backend):
        pytest.skip(f'NOT TESTED: {backend} is not installed (requirements/cpu.txt)')
    done = subprocess.run(
        [sys.executable, str(HERE / 'memory_loops.py'), what, backend, str(WARM + LOOPS),
         *map(str, checkpoints)], capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    assert done.returncode == 0, done.stderr
    resident = json.loads(done.stdout)
    # The least of a few: what a thread still holds at one moment is no growth.
    before, after = min(resident[WARM - 3:WARM]), min(resident[-3:])
    weights = checkpoints[0].stat().st_size
    # Not of one: an arena that the allocator takes once, whenever it does, is no growth.
    assert after - before < LOOPS * weights / 10, [round(value / 1e6) for value in resident]
