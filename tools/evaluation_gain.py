# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what an evaluation takes of the processor, an image, beside what an earlier commit took.

PYTHONPATH=. python tools/evaluation_gain.py --before COMMIT --data DIR [--checkpoint FILE]
    [--images 4,20] [--rounds 5] [--threads 1,default] [--json results/speed/cpu_evaluation.json]

Both run as a user runs them, `python -m training.evaluate`, in turn, over few and over many
images: user and system seconds of the process over many less those over few, so that the start
is in neither. The figures of both are compared too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
import io
import json
import os
from pathlib import Path
import platform
import shlex
import subprocess
import sys
import tarfile
import tempfile
from typing import Any

from emu_perception.errors import EmuError, InputError
from emu_perception.whole_files import write_json
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = 'default'  # Of threads: as many as torch takes by itself.


def tree_of(commit: str, folder: Path) -> Path:
    """
    Unpack a commit of this repository.

    :raises InputError: if there is none of that name.
    """
    done = subprocess.run(['git', '-C', str(ROOT), 'archive', commit], capture_output=True)
    if done.returncode:
        raise InputError(f"--before is '{commit}': {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter='data')
    return folder


def evaluation(tree: Path, options: argparse.Namespace, images: int, threads: str,
               out: Path) -> tuple[float, dict[str, Any]]:
    """
    Evaluate so many images by the code of a tree.

    :return: the CPU seconds of its process, and what it wrote.
    :raises InputError: if it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    environment['PYTHONPATH'] = str(tree)
    if threads != DEFAULT:
        environment['OMP_NUM_THREADS'] = threads
    before = os.times()
    done = subprocess.run(
        [sys.executable, '-m', 'training.evaluate', '--checkpoint', str(options.checkpoint),
         '--data', str(options.data), '--limit', str(images), '--device', 'cpu', '--no-progress',
         '--json', str(out)], cwd=tree, env=environment, capture_output=True, text=True)
    after = os.times()
    if done.returncode:
        raise InputError(f'{tree}: evaluate failed: {done.stderr.strip().splitlines()[-1:]}')
    seconds = (after.children_user + after.children_system
               - before.children_user - before.children_system)
    return seconds, json.loads(out.read_text())


def differences(one: object, other: object) -> Iterator[float]:
    """Yield by what share each number that both documents have differs."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in one.keys() & other.keys():
            yield from differences(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        for pair in zip(one, other, strict=True):
            yield from differences(*pair)
    elif isinstance(one, (int, float)) and isinstance(other, (int, float)):
        yield abs(one - other) / max(abs(one), abs(other), sys.float_info.min)


def measured(trees: Mapping[str, Path], options: argparse.Namespace, threads: str,
             out: Path) -> dict[str, Any]:
    """Return the figures of a number of threads."""
    few, many = options.images
    seconds: dict[str, list[float]] = {name: [] for name in trees}
    figures: dict[str, dict[str, Any]] = {}
    for turn in range(options.rounds):
        for name in (list(trees) if turn % 2 == 0 else [*trees][::-1]):
            less, _ = evaluation(trees[name], options, few, threads, out)
            more, figures[name] = evaluation(trees[name], options, many, threads, out)
            seconds[name].append((more - less) / (many - few))
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    kinds = ('segmentation', 'depth', 'policies', 'class_iou', 'curves')
    apart = [*differences(*({kind: figures[name].get(kind) for kind in kinds} for name in trees))]
    return {'cpu_s_an_image': median, 'rounds': seconds,
            'times_less': median['before'] / median['now'],
            'figures_compared': len(apart), 'largest_difference': max(apart, default=None)}


def main() -> int:
    """Measure, print a line a number of threads and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--before', required=True, metavar='COMMIT')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR')
    parser.add_argument('--checkpoint', type=Path, metavar='FILE',
                        help='default: the default model of that commit, which both can read')
    parser.add_argument('--images', default='4,20', metavar='FEW,MANY')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', default=f'1,{DEFAULT}', metavar='N,N')
    parser.add_argument('--json', type=Path, metavar='OUT')
    options = parser.parse_args()
    from emu_perception.benchmarking.result import processor
    import torch
    options.data = options.data.resolve()
    options.images = sorted(int(number) for number in options.images.split(','))
    result: dict[str, Any] = {
        'command': shlex.join(['tools/evaluation_gain.py', *sys.argv[1:]]),
        'processor': processor(), 'cores': os.cpu_count(),
        'versions': {'torch': torch.__version__, 'numpy': np.__version__,
                     'python': platform.python_version()},
        'load': {'before': os.getloadavg()}, 'threads': {}}
    try:
        with tempfile.TemporaryDirectory() as folder:
            trees = {'before': tree_of(options.before, Path(folder) / 'tree'), 'now': ROOT}
            options.checkpoint = (options.checkpoint or trees['before'] / 'models'
                                  / 'emu_default.safetensors').resolve()
            for threads in options.threads.split(','):
                found = measured(trees, options, threads, Path(folder) / 'figures.json')
                result['threads'][threads] = found
                now = found['cpu_s_an_image']
                print(f"threads {threads}: {now['before']:.3f} CPU s an image before, "
                      f"{now['now']:.3f} now ({found['times_less']:.1f} x less); "
                      f"{found['figures_compared']} figures apart by at most "
                      f"{found['largest_difference']:.1e}")
    except EmuError as error:
        print(error, file=sys.stderr)
        return 1
    result['load']['after'] = os.getloadavg()
    if options.json:
        write_json(options.json, result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
