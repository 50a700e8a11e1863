# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How many runs fit on the GPUs side by side: one is tried for a few steps and its peak is read.

python -m training.runs.peak_memory RECIPE.yaml prints the peak in bytes.
"""

from __future__ import annotations

import logging
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

import torch
import yaml

from ..data.training_stems import training_stems
from ..recipes.options import plain, RecipeError
from ..recipes.recipe import load_recipe, Recipe

LOGGER = logging.getLogger('training')
# Beside what torch holds: its context, kernels and what fragmentation costs.
CONTEXT_BYTES = 700_000_000
USABLE = 0.92


def side_by_side(text: str, recipe: Recipe) -> int:
    """
    Return how many members to run at once.

    :param text: a number, or 'auto'.
    :raises RecipeError: if it is neither.
    """
    if text != 'auto':
        if not text.isdecimal() or int(text) < 1:
            raise RecipeError(f"--parallel is '{text}': give 1 or more, or auto")
        return int(text)
    gpus = torch.cuda.device_count()
    if gpus == 0:
        return 1
    free, _ = torch.cuda.mem_get_info()
    count = that_fit(free, _measured(recipe)) * gpus
    LOGGER.info('%d members side by side', count)
    return count


def that_fit(free: int, peak: int) -> int:
    """Return how many runs with this peak fit in the free memory (bytes), 1 at least."""
    return max(1, int(free * USABLE) // (peak + CONTEXT_BYTES))


def _measured(recipe: Recipe) -> int:
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
        yaml.safe_dump(plain(recipe), file)
        file.flush()
        done = subprocess.run([sys.executable, '-m', __name__, file.name],
                              capture_output=True, text=True)
    words = done.stdout.split()
    if done.returncode or not words or not words[-1].isdecimal():
        # What was killed, as by a machine that is out of memory, has said nothing.
        last = next(reversed(done.stderr.strip().splitlines()), ended_with(done.returncode))
        raise RecipeError(f'one member alone does not run, so that --parallel auto cannot tell '
                          f'how many fit: {last}: give --parallel 1, or mend that')
    return int(words[-1])


def ended_with(code: int) -> str:
    """Return in words how a process ended that said nothing."""
    if code >= 0:
        return f'it ended with code {code} and said nothing'
    try:
        return f'it was ended by {signal.Signals(-code).name} and said nothing'
    except ValueError:
        return f'it was ended by signal {-code} and said nothing'


def measure(recipe: Recipe, steps: int = 3) -> int:
    """Train a few steps on random views and return the most memory that torch held, bytes."""
    from ..data.dataset_folder import DatasetFolder
    from ..data.examples import ExampleCache
    from ..data.resident import resident_bytes
    from ..methods.optimization import autocast
    from .building import build_network, make_module

    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    folder = DatasetFolder(recipe.data)
    examples = ExampleCache(folder, folder.stems('train')[:8])
    network, _ = build_network(recipe, folder, examples, folder.classes)
    module = make_module(network, recipe, folder, None).to(device)
    height, width = recipe.view_size
    shape = (recipe.batch_size, height, width)
    batch = {'image': torch.randint(0, 256, (shape[0], 3, *shape[1:]), dtype=torch.uint8),
             'label': torch.zeros(shape, dtype=torch.uint8), 'depth': torch.ones(shape),
             'inverse': torch.ones(shape), 'vectors': torch.zeros(shape[0], 2, *shape[1:]),
             'on_instance': torch.ones(shape, dtype=torch.bool), 'index': torch.zeros(shape[0])}
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    optimizer = torch.optim.AdamW(module.parameters())
    for _ in range(steps):
        with autocast(recipe.precision, device):
            loss = torch.stack(list(module.losses(batch).values())).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if device.type != 'cuda':
        return 0
    held = 0
    if recipe.views == 'device':
        size = folder.image(examples.stems[0]).shape[:2]
        held = resident_bytes(len(training_stems(recipe, folder)), size)
    return torch.cuda.max_memory_reserved() + held


if __name__ == '__main__':
    print(measure(load_recipe(Path(sys.argv[1]))))
