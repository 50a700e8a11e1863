# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the default model anew, where it is another: all of ``results/`` that hangs on it.

``python tools/remeasure.py --data NYUV2 --d435 DIR --realsense DIR [--stereo DIR] [--jobs 2]``
runs the commands below, some side by side on a thread each, then, one by one, those that take
times, for which nothing else should run. What is done for this very model is not done again. The
documents that tell the figures in words are to be read after that: they are named at the end,
with what has changed since the last commit. The exit code is 1 where a command fails; its log is
named.
"""

from __future__ import annotations

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import shlex
import subprocess
import sys

ROOT = Path(__file__).resolve().parents[1]
MODEL = 'models/emu_default.safetensors'
_DONE = 'out/remeasure'
_TOLD_IN = ('README.md', 'docs/model.md', 'docs/fusion.md', 'docs/robot.md', 'docs/speed.md',
            'docs/uncertainty.md', 'docs/faq.md', 'CHANGELOG.rst')


@dataclass(frozen=True)
class Step:
    """
    One command.

    :ivar command: after ``python``; {data}, {d435}, {realsense} and {stereo} are the folders.
    :ivar after: of whose result it is made.
    :ivar alone: it takes times.
    """

    command: str
    after: str = ''
    alone: bool = False

    @property
    def folders(self) -> list[str]:
        """Return the names of the folders that it reads."""
        return [name for name in ('data', 'd435', 'realsense', 'stereo')
                if f'{{{name}}}' in self.command]

    @property
    def writes(self) -> list[str]:
        """Return the files that it leaves in the repository."""
        words = shlex.split(self.command)
        return [word for option, word in zip(words, words[1:])
                if option in ('--json', '--figure', '--out')]


STEPS = {
    'trust': Step(f'-m training.studies.trust --checkpoint {MODEL} --data {{data}} '
                  '--images realsense={realsense}/image --images d435={d435}/image '
                  '--observations out/observations --json results/trust/trust.json '
                  '--figure results/trust/trust.png --no-progress'),
    'cameras': Step(f'-m training.studies.cameras --checkpoint {MODEL} --data {{data}} '
                    '--json results/cameras/cameras.json --no-progress'),
    'prior': Step('-m training.studies.camera_prior --cameras results/cameras/cameras.json '
                  f'--checkpoint {MODEL} --data {{d435}} --json results/cameras/prior.json',
                  after='cameras'),
    'delivery': Step(f'-m training.studies.delivery --checkpoint {MODEL} --data {{data}} '
                     '--images realsense={realsense}/image --images d435={d435}/image '
                     '--json results/trust/delivery.json --no-progress'),
    'rectification': Step(f'-m training.studies.rectification --checkpoint {MODEL} '
                          '--data {data} --json results/rectification/rectification.json '
                          '--no-progress'),
    'fusion': Step(f'-m training.studies.fusion --checkpoint {MODEL} --data {{data}} '
                   '--other {d435} --json results/fusion/fusion.json '
                   '--figure results/fusion/fusion.png --no-progress'),
    'stream': Step(f'-m training.studies.fusion_stream --checkpoint {MODEL} --data {{data}} '
                   '--json results/fusion/stream.json --no-progress', after='fusion'),
    'ground': Step(f'-m training.studies.ground --checkpoint {MODEL} --data {{data}} '
                   '--robot {d435} --json results/ground/ground.json '
                   '--figure results/ground/ground.png'),
    'filtered_points': Step('tools/filtered_points.py --data {data} '
                            '--out results/node/filtered_points.json'),
    'stereo_pairs': Step('tools/stereo_pairs.py {stereo} --out results/cameras/oak_d.json'),
    'fused_picture': Step('tools/fused_picture.py --out docs/fusion_panels.jpg'),
    'precision': Step(f'-m training.precision --checkpoint {MODEL} --data {{data}} '
                      '--json results/speed/cpu_precision.json --no-progress', alone=True),
    'speed': Step('-m emu_perception.commands.emu benchmark --device cpu --no-progress '
                  '--image 480x640 --against eager,unfolded --rounds 60 '
                  '--json results/speed/cpu_default.json', alone=True),
    'speed_of_the_flag': Step('-m emu_perception.commands.emu benchmark --device cpu '
                              '--no-progress --image 480x640 --against unjudged --rounds 200 '
                              '--json results/speed/cpu_flag.json', alone=True)}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', help='NYUv2, as emu prepare leaves it')
    parser.add_argument('--d435', help='a data set of a camera that the model does not know')
    parser.add_argument('--realsense', help='a folder with the images of another, in image/')
    parser.add_argument('--stereo', help='stereodemo/datasets/oak-d (tools/stereo_pairs.py)')
    parser.add_argument('--only', nargs='+', choices=STEPS, metavar='STEP',
                        help=f'some of {", ".join(STEPS)}')
    parser.add_argument('--jobs', type=int, default=2, help='side by side (default: %(default)s)')
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    given = {name: value for name in ('data', 'd435', 'realsense', 'stereo')
             if (value := getattr(options, name)) is not None}
    steps = {name: STEPS[name] for name in options.only or STEPS}
    for name, step in list(steps.items()):
        missing = [f'--{folder}' for folder in step.folders if folder not in given]
        if missing:
            print(f'left out: {name}, which needs {" ".join(missing)}')
            del steps[name]
    log = ROOT / _DONE / hashlib.sha256((ROOT / MODEL).read_bytes()).hexdigest()[:12]
    log.mkdir(parents=True, exist_ok=True)
    running: dict[str, Future[bool]] = {}

    def done(name: str) -> bool:
        step = steps[name]
        if step.after in running and not running[step.after].result():
            print(f'left out: {name}, since {step.after} failed', flush=True)
            return False
        return (log / f'{name}.done').exists() or _run(name, step.command.format(**given), log)
    # In their order, which has what others are made of first: no job waits for one behind it.
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for name, step in steps.items():
            if not step.alone:
                running[name] = pool.submit(done, name)
    failed = [name for name, found in running.items() if not found.result()]
    failed += [name for name, step in steps.items() if step.alone and not done(name)]
    print('figures that are told in words: read', ', '.join(_TOLD_IN))
    subprocess.run(['git', 'diff', '--stat', '--', 'results', 'docs'], cwd=ROOT, check=False)
    if failed:
        print(f'failed: {", ".join(failed)}', file=sys.stderr)
    return int(bool(failed))


def _run(name: str, command: str, log: Path) -> bool:
    print(f'{name}: python {command}', flush=True)
    with (log / f'{name}.log').open('w') as file:
        code = subprocess.run(
            [sys.executable, *shlex.split(command)], cwd=ROOT, stdout=file, stderr=file,
            check=False, env={**os.environ, 'OMP_NUM_THREADS': '1'}
            if not STEPS[name].alone else None).returncode
    if code:
        print(f'{name}: exit {code}, see {file.name}', file=sys.stderr, flush=True)
    else:
        (log / f'{name}.done').touch()
    return code == 0


if __name__ == '__main__':
    sys.exit(main())
