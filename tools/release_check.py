# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Is what would be released whole? Wheel and sdist into fresh environments, used as a stranger would.

``python tools/release_check.py`` builds both from a copy of what git tracks, installs each into an
environment of its own, and there, from an empty folder: ``emu --version``, ``emu predict`` on the
package's photograph, a recipe by its name, ``emu node`` up and ended by SIGINT. ``--packages DIR``
takes the packages it needs from a site-packages that is there, and downloads nothing. The exit
code is 1 where something fails, which is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = Path(__file__).resolve().parents[1]
_NODE_S = 90.0


class Failed(Exception):
    """A step that failed; its text says which, and why."""


def run(step: str, *command: object, cwd: Path, **variables: str) -> str:
    """Run a command without anything of this shell's Python, and return what it prints."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env=clean(**variables), text=True,
                          capture_output=True)
    if done.returncode:
        raise Failed(f'{step}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}')
    print(f'ok  {step}', flush=True)
    return done.stdout


def clean(**variables: str) -> dict[str, str]:
    """Return an environment in which no path leads to this source tree."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ('PYTHONPATH', 'VIRTUAL_ENV', 'EMU_WITH_DEMO', 'AMENT_PREFIX_PATH')}
    return {**kept, **variables}


def built(copy: Path) -> list[Path]:
    """Return wheel and sdist, built from a copy of what git tracks."""
    copy.mkdir()
    archive = subprocess.run(['git', 'archive', 'HEAD'], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(['tar', 'x'], cwd=copy, input=archive.stdout, check=True)
    run('build', sys.executable, 'setup.py', '-q', 'sdist', 'bdist_wheel', cwd=copy)
    files = sorted((copy / 'dist').iterdir())
    if len(files) != 2:
        raise Failed(f'build: gave {[file.name for file in files]}')
    return files


def check(file: Path, folder: Path, packages: Path | None, pip: list[str]) -> None:
    """Install one file into an environment of its own, and use it."""
    name = 'wheel' if file.suffix == '.whl' else 'sdist'
    venv, empty = folder / name, folder / f'{name} in use'
    empty.mkdir()
    run(f'{name}: environment', sys.executable, '-m', 'venv', venv, cwd=empty)
    python = venv / 'bin/python'
    if packages is not None:
        site = next((venv / 'lib').glob('python*/site-packages'))
        (site / 'shared.pth').write_text(f'{packages}\n')
        run(f'{name}: pip install', python, '-m', 'pip', 'install', '-q', '--no-deps',
            '--no-build-isolation', file, cwd=empty)
    else:
        run(f'{name}: pip install', python, '-m', 'pip', 'install', '-q', *pip,
            f'{file}[offline,ros,train]', cwd=empty)
    emu = venv / 'bin/emu'
    prefixes = os.pathsep.join(map(str, [venv, *([packages.parents[2]] if packages else [])]))
    run(f'{name}: emu --version', emu, '--version', cwd=empty)
    photograph = venv / 'share/emu_perception/examples/living_room/left.jpg'
    run(f'{name}: emu predict', emu, 'predict', photograph, '--out', 'map', cwd=empty)
    if not [*(empty / 'map/panels').glob('*.png')]:
        raise Failed(f'{name}: emu predict: wrote no panel')
    run(f'{name}: a recipe by its name', python, '-c', 'from emu_training.recipes.recipe import '
        'load_recipe; load_recipe("robot", ["data=x"])', cwd=empty)
    node(f'{name}: emu node', emu, empty, prefixes)


def node(step: str, emu: Path, cwd: Path, prefixes: str) -> None:
    """Start the node, wait until it is active, end it as Ctrl-C does."""
    log = cwd / 'node.txt'
    with log.open('w') as file, ended(subprocess.Popen(
            [str(emu), 'node'], cwd=cwd, env=clean(AMENT_PREFIX_PATH=prefixes),
            stdout=file, stderr=subprocess.STDOUT)) as process:
        end = time.monotonic() + _NODE_S
        while 'active' not in log.read_text() and process.poll() is None:
            if time.monotonic() > end:
                raise Failed(f'{step}: not active within {_NODE_S:.0f} s: '
                             f'{log.read_text()[-2000:]}')
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    if code:
        raise Failed(f'{step}: exit {code}: {log.read_text()[-2000:]}')
    print(f'ok  {step}', flush=True)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process with the block, whatever happens in it."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Return 0, or 1 with the step that failed."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--packages', type=Path, metavar='DIR',
                        help='site-packages of an environment that has all that is needed')
    parser.add_argument('--pip', default='', metavar='OPTIONS', help='more options of pip install')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='emu_release_') as name:
        try:
            for file in built(Path(name, 'copy')):
                check(file, Path(name), options.packages, shlex.split(options.pip))
        except Failed as error:
            print(f'failed  {error}', file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
