# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine has: memory, disk, Python, NumPy, OpenCV, torch and its device."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import platform
import re
import shutil
import sys

from emu_perception import __version__
from emu_perception.ros.doctor.finding import FAULT, Finding, OK, tried, WARNING

_GB = 1e9
# torch with a small network holds about one; OpenVINO compiles in another.
_NEEDED_GB, _EASY_GB = 1.0, 2.0
# That was tried with all that asks for no float16 on a CPU; of 2.0 less works (docs/robot.md).
_OLDEST_TORCH = (2, 2)
_MEMORY, _DRIVER = Path('/proc/meminfo'), Path('/proc/driver/nvidia/version')
_PYPI = "pip install '.[pypi]' in the folder of emu_perception"


def findings() -> Iterator[Finding]:
    """Yield what there is to say of the machine."""
    yield Finding('emu_perception', OK, f'{__version__}, {Path(__file__).resolve().parents[2]}')
    yield Finding('python', OK, f'{platform.python_version()}, {sys.executable}')
    yield memory()
    yield disk()
    yield module('numpy', 'import numpy; numpy.zeros(2).sum(); print(numpy.__version__)', _PYPI)
    yield module('opencv', 'import cv2, numpy; cv2.resize(numpy.zeros((4, 4, 3), numpy.uint8), '
                 '(2, 2)); print(cv2.__version__)', f'{_PYPI}; where libGL is missing, '
                 'pip install opencv-python-headless')
    found = module('torch', 'import torch, numpy; torch.from_numpy(numpy.zeros(2)).sum(); '
                   'print(torch.__version__, "|", torch.version.cuda, "|", '
                   'torch.cuda.get_device_name() if torch.cuda.is_available() else "")', _PYPI)
    if found.level != OK:
        yield found
        return
    build, cuda, device = (part.strip() for part in found.text.split('|'))
    yield torch_build(build, cuda)
    yield graphics(cuda, device)


def memory() -> Finding:
    """Return what is free of the memory."""
    try:
        found = re.search(r'MemAvailable:\s+(\d+) kB', _MEMORY.read_text())
    except OSError:
        found = None
    if found is None:
        return Finding('memory', WARNING, f'{_MEMORY} does not say what is free')
    free = int(found[1]) * 1024 / _GB
    if free >= _EASY_GB:
        return Finding('memory', OK, f'{free:.1f} GB free')
    return Finding('memory', FAULT if free < _NEEDED_GB else WARNING, f'{free:.1f} GB free',
                   f'close something: torch and a network take about {_NEEDED_GB:.0f} GB')


def disk() -> Finding:
    """Return what is free where compiled networks are kept."""
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / _GB
    if free >= 1.0:
        return Finding('disk', OK, f'{free:.0f} GB free in {folder}')
    return Finding('disk', WARNING, f'{free:.2f} GB free in {folder}',
                   'make room: compiled networks are kept there, and made anew at every start '
                   'where they do not fit')


def module(name: str, code: str, remedy: str) -> Finding:
    """Return whether a package does what it is there for, in a process that it may crash."""
    said, problem = tried(code)
    if problem:
        return Finding(name, FAULT, f'does not work: {problem}', remedy)
    return Finding(name, OK, said)


def torch_build(build: str, cuda: str) -> Finding:
    """
    Return what torch is of, and whether it is one that all of this package is known to run with.

    :param build: its version, such as '2.5.0a0+nv24.8'.
    :param cuda: version that it was built for, or 'None'.
    """
    text = f'{build}, ' + ('built for CPUs' if cuda == 'None' else f'built for CUDA {cuda}')
    numbers = re.match(r'(\d+)\.(\d+)', build)
    if numbers and (int(numbers[1]), int(numbers[2])) >= _OLDEST_TORCH:
        return Finding('torch', OK, text)
    oldest = '.'.join(map(str, _OLDEST_TORCH))
    return Finding('torch', WARNING, f'{text}: with one before {oldest} not all of this package '
                   'is known to run', f'pip install a torch of {oldest} or later into the virtual '
                   "environment (on a Jetson NVIDIA's own)")


def graphics(cuda: str, device: str) -> Finding:
    """
    Return the device that a network would run on.

    :param cuda: version that torch was built for, or 'None'.
    :param device: name of the GPU that torch sees; '' = none.
    """
    driver = re.search(r'Module.*?(\d+\.[\d.]+)', _read(_DRIVER))
    about = f'NVIDIA driver {driver[1]}' if driver else 'no NVIDIA driver'
    if device:
        return Finding('device', OK, f'{device}, {about}')
    if driver is None:
        return Finding('device', OK, f'cpu, {os.cpu_count()} threads, {about}')
    why = ('this torch was built for CPUs' if cuda == 'None' else
           f'this torch, built for CUDA {cuda}, sees no GPU')
    return Finding('device', WARNING, f'cpu: {about}, but {why}',
                   "install a torch for this driver (pytorch.org; on a Jetson NVIDIA's own), or "
                   'renew the driver')


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ''

