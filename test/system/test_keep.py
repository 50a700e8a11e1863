# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An installation on a robot never replaces its torch: requirements/keep.py, tried with pip."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import subprocess
import sys
from typing import Any
import zipfile

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEEP = ROOT / 'requirements/keep.py'


@pytest.fixture(scope='module')
def keep() -> Any:
    """Return the script as a module."""
    specification = importlib.util.spec_from_file_location('keep', KEEP)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_what_is_built_for_the_machine_stays_and_nothing_else_is_held(keep: Any) -> None:
    """The first of a name on the path is the one that is imported."""
    assert keep.constraints([
        ('torch', '2.5.0a0+nv24.8'), ('NumPy', '1.26.4'), ('opencv_python', '4.10.0'),
        ('nvidia-cublas-cu12', '12.4'), ('rich', '13.0'), ('numpy', '1.21.5'), ('timm', '1.0'),
        ('torchmetrics', '1.9')]) == [
            'numpy==1.26.4', 'nvidia-cublas-cu12==12.4', 'opencv-python==4.10.0',
            'torch==2.5.0a0+nv24.8']


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """Write a wheel that holds nothing but what it requires."""
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(folder / f'{name}-{version}-py3-none-any.whl', 'w') as file:
        file.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\n'
                      f'Version: {version}\n' + ''.join(f'Requires-Dist: {one}\n'
                                                        for one in requires))
        file.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: test\n'
                      'Root-Is-Purelib: true\nTag: py3-none-any\n')
        file.writestr(f'{info}/RECORD', '')


@pytest.mark.slow
def test_old_torch_without_torchvision_is_kept(tmp_path: Path) -> None:
    """As on a Jetson; without the constraints pip takes the newest of everything."""
    # Not find_spec('pip'), which setuptools takes for a build: no other test could import it then.
    if subprocess.run([sys.executable, '-m', 'pip', '--version'], capture_output=True).returncode:
        pytest.skip('NOT TESTED: there is no pip')
    index, robot = tmp_path / 'index', tmp_path / 'robot'
    index.mkdir()
    for torch, vision in (('2.5.1', '0.20.1'), ('2.14.0', '0.29.0')):
        wheel(index, 'torch', torch, 'numpy')
        wheel(index, 'torchvision', vision, f'torch=={torch}', 'numpy')
    for version in ('1.26.4', '2.4.0'):
        wheel(index, 'numpy', version)
    wheel(index, 'timm', '1.0.31', 'torch', 'torchvision', 'safetensors')
    wheel(index, 'safetensors', '0.8.0')
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', robot], check=True)
    python = robot / 'bin/python'
    pip = [sys.executable, '-m', 'pip', '--python', python, '--disable-pip-version-check',
           'install', '--no-index', '--find-links', index]
    subprocess.run([*pip, '--quiet', 'torch==2.5.1', 'numpy==1.26.4'], check=True)

    def would_install(*words: Any) -> str:
        done = subprocess.run([*pip, '--dry-run', *words, '-r', ROOT / 'requirements/robot.txt'],
                              capture_output=True, text=True, check=True)
        return next(line for line in done.stdout.splitlines() if 'Would install' in line)

    kept = subprocess.run([python, KEEP], capture_output=True, text=True, check=True).stdout
    assert kept == 'numpy==1.26.4\ntorch==2.5.1\n'
    (tmp_path / 'keep.txt').write_text(kept)
    assert 'torch-2.14.0' in would_install(), 'pip has learnt better: is keep.py still needed?'
    held = would_install('-c', tmp_path / 'keep.txt')
    assert 'torchvision-0.20.1' in held and 'timm-1.0.31' in held
    assert 'torch-' not in held and 'numpy-' not in held
