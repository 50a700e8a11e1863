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


def memory(what: str, backend: str, loops: int, checkpoints: list[Path], *, lost: int = 0,
           ) -> dict[str, list[int]]:
    """Return the bytes allocated and resident after each loop; ``lost`` bytes leak at each."""
    if not is_installed(backend):
        pytest.skip(f'NOT TESTED: {backend} is not installed (requirements/cpu.txt)')
    done = subprocess.run(
        [sys.executable, str(HERE / 'memory_loops.py'), what, backend, str(loops), str(lost),
         *map(str, checkpoints)], capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def growth(values: list[int]) -> float:
    """Return the bytes that each loop after the warm-up adds."""
    if None in values:
        pytest.skip('NOT TESTED: this C library does not tell what it has given out (glibc 2.33)')
    # The least of a few: what a thread still holds at one moment is no growth.
    return (min(values[-3:]) - min(values[WARM - 3:WARM])) / (len(values) - WARM)


@pytest.mark.slow
@pytest.mark.parametrize(('what', 'backend'), [
    ('configure', 'openvino'), ('swap', 'openvino'), ('swap', 'eager')])
def test_memory_does_not_grow_with_each_model_that_is_loaded(checkpoints, what, backend):
    """No loop keeps a hundredth of a model's weights, nor half of them in pages."""
    found = memory(what, backend, WARM + LOOPS, checkpoints)
    weights = checkpoints[0].stat().st_size
    # Wide: pages come by a whole model, an arena's, a few times in all and whenever that is.
    # What is mapped past the allocator, as a compiler's code is, is seen here alone.
    assert growth(found['resident']) < weights / 2, [
        round(value / 1e6) for value in found['resident']]
    # Narrow: what is allocated, the same within a few kilobytes after each loop.
    assert growth(found['heap']) < weights / 100, [
        round(value / 1e6, 2) for value in found['heap']]


@pytest.mark.slow
def test_a_leak_of_a_fiftieth_of_the_weights_at_each_load_is_found(checkpoints):
    """The check above fails then."""
    weights = checkpoints[0].stat().st_size
    found = memory('swap', 'eager', WARM + 5, checkpoints, lost=weights // 50)
    assert growth(found['heap']) > weights / 100, found
