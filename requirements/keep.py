# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Print constraints for pip that keep what this machine has: its torch, NumPy, OpenCV, CUDA.

    python requirements/keep.py > keep.txt && pip install -c keep.txt -r requirements/robot.txt

timm needs torchvision, and a torchvision that is not there yet brings the newest torch with it,
which replaces a Jetson's own. With these constraints pip takes the torchvision of the torch that
is there, or ends with an error. To be run by the Python, of a virtual environment, that is
installed into.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import distributions
import re
import sys

# What is built for the machine, and what is built against it.
_KEPT = re.compile(r'torch|torchvision|torchaudio|triton|pytorch-triton.*|numpy|scipy|tensorrt.*|'
                   r'opencv-(contrib-)?python(-headless)?|nvidia-.*|openvino|jetson.*|cv-bridge')


def constraints(installed: Iterable[tuple[str, str]]) -> list[str]:
    """
    Return a line for each distribution that is to stay as it is.

    :param installed: names and versions, those first that come first on the path: they are the
        ones that are imported.
    """
    kept: dict[str, str] = {}
    for name, version in installed:
        plain = re.sub(r'[-_.]+', '-', name).lower()
        if version and _KEPT.fullmatch(plain):
            kept.setdefault(plain, version)
    return [f'{name}=={version}' for name, version in sorted(kept.items())]


def main() -> int:
    """Print them."""
    lines = constraints((one.metadata['Name'] or '', one.version) for one in distributions())
    print('\n'.join(lines))
    if not any(line.startswith('torch==') for line in lines):
        print('keep.py: no torch is installed for this Python: pip will bring the newest one',
              file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main())
