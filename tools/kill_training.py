# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Kill a training at random moments and see that it always goes on: python tools/kill_training.py.

--out should lie on another file system than $TMPDIR (/dev/shm is one). Each part of the run is a
process that SIGKILL ends after a random time; then the state must be one that can be read, with
more epochs than before. Exit code 1 where it is not.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import random
import signal
import sys
import time

from emu_perception.whole_files import write_json
from training.prepare.__main__ import main as prepare
from training.runs.run_folder import epochs_done

RECIPE = """\
name: killed
input_size: [64, 128]
network: {encoder: resnet18, head_dim: 256}
batch_size: 4
epochs: 10000
validate_every: 2
"""


def part(out: Path, seconds: float) -> tuple[int, bool]:
    """
    Train in a process of its own, and kill it so long after its first epoch.

    :return: its exit code, and whether it was within a save.
    """
    import torch  # --help does not wait for it.
    from training.fit import main as fit
    state = out / 'killed/state'
    command = ['--recipe', str(out / 'recipe.yaml'), f'data={out / "data"}', f'output={out}',
               '--no-progress']
    child = os.fork()
    if not child:
        sys.stderr = sys.stdout = (out / 'log.txt').open('a')
        torch.set_num_threads(1)
        os._exit(fit([*command, *(['--resume'] if (state / 'last.ckpt').exists() else [])]))
    before = epochs_done(out / 'killed')
    while epochs_done(out / 'killed') == before:  # It has started again, and done an epoch.
        if os.waitpid(child, os.WNOHANG)[0]:
            return 1, False
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, bool(list(state.glob('*.partial')))


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if the run has gone on each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='an empty folder')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    import torch
    out, draw = options.out, random.Random(options.seed)
    prepare(['synthetic', '--out', str(out / 'data'), '--images', '20', '--no-progress'])
    (out / 'recipe.yaml').write_text(RECIPE)
    done, kills = 0, []
    for number in range(options.kills):
        code, saving = part(out, draw.uniform(0.0, 3.0))
        state = torch.load(out / 'killed/state/last.ckpt', map_location='cpu', weights_only=False)
        epochs = int(state['epoch']) + 1
        print(f'kill {number + 1}: exit code {code}, {epochs} epochs kept'
              f'{", killed while a state was written" if saving else ""}', flush=True)
        if code != -signal.SIGKILL or epochs <= done:
            return 1
        done = epochs
        kills.append({'epochs_kept': epochs, 'within_a_save': saving})
    write_json(out / 'kills.json', kills)
    return 0


if __name__ == '__main__':
    sys.exit(main())
