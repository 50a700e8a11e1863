# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Install beside a robot's own torch, as docs/robot.md says, in a Python made for it, and use it.

``python tools/robot_install.py --python python3.10 --have torch==2.0.1 numpy==1.21.5
opencv-python-headless==4.5.4.60 PyYAML`` makes a virtual environment with these alone, without
torchvision; makes constraints of them (``requirements/keep.py``) and installs
``requirements/robot.txt`` by them; and looks whether anything that was there has changed. Then
``emu predict`` runs on a picture, and the quick tests of the core. It writes ``install.json``; the
exit code is 1 where something was replaced, or picture or tests failed. It downloads gigabytes.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import shlex
import subprocess
import sys
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEST_TOOLS = ('pytest', 'pytest-timeout', 'hypothesis', '-r', 'requirements/offline.txt')
# Where the wheels of ROS 2 in the Python of this process find each other.
_OF_THIS_PYTHON = ('LD_LIBRARY_PATH', '_ROS_WHEELS_BOOTSTRAP_COMPLETE')
_VERSIONS = ('from importlib.metadata import distributions as d; import json, platform; '
             'print(json.dumps({**{x.metadata["Name"]: x.version for x in d()}, '
             '"python": platform.python_version()}))')


class Environment:
    """A virtual environment, and what runs in it."""

    def __init__(self, folder: Path, python: str, log: Path) -> None:
        """Make it, empty; one that is there already is taken as it is."""
        self._python, self._log = folder.absolute() / 'bin' / 'python', log
        self._variables = {name: value for name, value in os.environ.items()
                           if name not in _OF_THIS_PYTHON}
        # The prefix of a ROS 2 of wheels, where --have names one.
        self._variables.update(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1',
                               AMENT_PREFIX_PATH=str(folder.absolute()))
        if not self._python.exists():
            subprocess.run([python, '-m', 'venv', folder], check=True)

    def run(self, *words: str) -> tuple[int, str]:
        """Run Python from the source tree; return exit code and what it says, which is logged."""
        with self._log.open('a') as stream:
            stream.write(f'$ python {" ".join(words)}\n')
            stream.flush()
            begin = stream.tell()
            done = subprocess.run(
                [str(self._python), *words], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT,
                env=self._variables)
        with self._log.open() as stream:
            stream.seek(begin)
            return done.returncode, stream.read()

    def pip(self, *words: str) -> None:
        """
        Install.

        :raises SystemExit: if pip fails.
        """
        if self.run('-m', 'pip', '--disable-pip-version-check', 'install', *words)[0]:
            raise SystemExit(f'pip install {" ".join(words)} failed: see {self._log}')

    def versions(self) -> dict[str, str]:
        """Return the version of each distribution, and Python's."""
        return dict(json.loads(self.run('-c', _VERSIONS)[1]))


def tried(environment: Environment, options: argparse.Namespace) -> dict[str, Any]:
    """Install and use; return what became of it."""
    environment.pip(*options.have)
    before = environment.versions()
    keep = options.out / 'keep.txt'
    keep.write_text(environment.run('requirements/keep.py')[1])
    environment.pip('-c', str(keep), '-r', 'requirements/robot.txt')
    after = environment.versions()
    predicted, said = environment.run(
        '-m', 'emu_perception.commands.emu', 'predict', str(options.image),
        '--out', str(options.out / 'predicted'), '--force', '--no-progress')
    environment.pip('-c', str(keep), *TEST_TOOLS)
    last = environment.versions()
    changed = {name: [version, last.get(name)] for name, version in before.items()
               if not version == after.get(name) == last.get(name)}
    tested, told = environment.run('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-m',
                                   options.marks, *options.tests)
    lines = [line for line in told.splitlines() if line.strip()]
    return {
        'command': shlex.join(['python', *sys.argv]), 'python': after['python'],
        'before': before, 'came': sorted(f'{name}=={version}' for name, version in after.items()
                                         if name not in before),
        'changed': changed, 'predict': said.strip().splitlines()[-5:],
        'predict_exit_code': predicted, 'tests': lines[-1] if lines else '',
        'tests_exit_code': tested,
        'failed': [line for line in lines if line.startswith(('FAILED', 'ERROR'))]}


def main(args: list[str] | None = None) -> int:
    """Try, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--python', default=sys.executable, help='what the environment is made by')
    parser.add_argument('--have', nargs='+', required=True, metavar='REQUIREMENT',
                        help='what the robot has: torch, NumPy, OpenCV, PyYAML')
    parser.add_argument('--image', type=Path,
                        default=ROOT / 'examples' / 'living_room' / 'left.jpg')
    parser.add_argument('--tests', nargs='+', default=['test/core'])
    parser.add_argument('--marks', default='not slow', help='which of them; "" for all')
    parser.add_argument('--out', type=Path, default=ROOT / 'out' / 'robot_install')
    parser.add_argument('--environment', type=Path, help='default: environment in --out')
    options = parser.parse_args(args)
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / 'log.txt'
    log.unlink(missing_ok=True)
    result = tried(Environment(options.environment or options.out / 'environment',
                               options.python, log), options)
    (options.out / 'install.json').write_text(json.dumps(result, indent=2) + '\n')
    print(f'changed: {result["changed"] or "nothing"}; predict ended with '
          f'{result["predict_exit_code"]}; {result["tests"]}; see {options.out}')
    return 1 if (result['changed'] or result['predict_exit_code']
                 or result['tests_exit_code']) else 0


if __name__ == '__main__':
    sys.exit(main())
