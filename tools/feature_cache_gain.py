# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what kept features of a frozen encoder save of a training step's processor time.

OMP_NUM_THREADS=1 PYTHONPATH=. python tools/feature_cache_gain.py [--recipes dinov2_small,...]
    [--batch 2] [--rounds 5] [--json results/speed/cpu_feature_cache.json]

Each recipe with its encoder frozen and random weights, on views of noise: forward, loss, backward
and optimiser, in turn with the encoder and with features that are read from a file, as the loader
reads them. Seconds of the process, not of the clock: another program's work is not counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
import platform
import shlex
import sys
import tempfile
import time
from typing import Any, TYPE_CHECKING

from emu_perception.errors import EmuError
from emu_perception.whole_files import write_json
from training.recipes.recipe import load_recipe, Recipe

if TYPE_CHECKING:  # --help does not wait for torch.
    from training.data.feature_store import FeatureStore

CLASSES = 40
FROZEN = ('finetune.encoder=none', 'cache_features=float16', 'augmentation.scale=[1,1]',
          'augmentation.border_probability=0', 'augmentation.color_jitter=0', 'views=loader',
          'network.encoder_arguments={}', 'precision=32-true', 'data=made up')


def step(recipe: Recipe, store: FeatureStore | None) -> Callable[[], float]:
    """
    Return a step of a recipe with a frozen encoder.

    :param store: of the features that each step reads; None = the encoder makes them.
    """
    import torch
    from training.methods.baseline import Baseline
    from training.methods.parts import Parts
    from training.runs.building import normalization
    from training.runs.finetuning import restrict
    from training.speed.steps import training_step
    from training.speed.synthetic_models import synthetic_batch, synthetic_network
    device = torch.device('cpu')
    network = synthetic_network(recipe, 'baseline', CLASSES)
    restrict(network, recipe.finetune)
    module = Baseline(network, recipe, Parts(*normalization(recipe.network.encoder)))
    batch = synthetic_batch(recipe.batch_size, recipe.view_size, CLASSES, device)
    train = training_step(module, recipe.optimizer, recipe.precision, batch)
    if store is None:
        return train
    with torch.no_grad():
        maps = network.encoder.backbone(module.normalized(batch['image']))
    for i, image in enumerate(batch['image']):
        store.write(store.path(image), store.content([x[i] for x in maps]))

    def cached() -> float:
        read = [store.read(image) for image in batch['image']]
        batch.update({name: torch.stack([one[name] for one in read]) for name in read[0]})
        return train()
    return cached


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a recipe."""
    from emu_perception.benchmarking.measure import interleaved, summary
    import torch
    from training.data.feature_store import FeatureStore
    recipe = load_recipe(name, [*FROZEN, f'batch_size={options.batch}'])
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder), torch.float16)
        calls = {'encoder': step(recipe, None), 'kept': step(recipe, store)}
        times = interleaved(calls, options.rounds, clock=time.process_time)
        length = max(path.stat().st_size for path in Path(folder).iterdir())
    rows = {kind: summary(values) for kind, values in times.items()}
    return {'encoder': recipe.network.encoder, 'size': list(recipe.view_size),
            'batch': recipe.batch_size, 'cpu_ms': rows, 'view_mb': length / 1e6,
            'times_kept': rows['encoder']['median_ms'] / rows['kept']['median_ms']}


def main() -> int:
    """Measure, print a line a recipe and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--recipes', default='dinov2_small,dinov3_small,nyuv2_lite0',
                        metavar='A,B')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json', type=Path, metavar='OUT')
    options = parser.parse_args()
    from emu_perception.benchmarking.result import processor
    import torch
    result: dict[str, Any] = {
        'command': shlex.join(['tools/feature_cache_gain.py', *sys.argv[1:]]),
        'processor': processor(), 'threads': torch.get_num_threads(),
        'versions': {'torch': torch.__version__, 'python': platform.python_version()},
        'recipes': {}}
    try:
        for name in options.recipes.split(','):
            found = measured(name, options)
            result['recipes'][name] = found
            print(f"{name}: a step of {found['batch']} views "
                  f"{found['cpu_ms']['encoder']['median_ms'] / 1e3:.2f} CPU s with the encoder, "
                  f"{found['cpu_ms']['kept']['median_ms'] / 1e3:.2f} with kept features "
                  f"({found['times_kept']:.1f} x less), {found['view_mb']:.2f} MB a view")
    except EmuError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        write_json(options.json, result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
