# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The package's own name gives the Predictor, and costs nothing until it does."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import emu_perception
from emu_perception.predictor import Predictor
import numpy as np
import pytest

ROOT = Path(emu_perception.__file__).parents[1]


def test_importing_the_package_loads_neither_torch_nor_anything_else_that_is_slow():
    code = ('import sys, emu_perception; print(emu_perception.__version__, *(name for '
            'name in ("torch", "numpy", "cv2", "timm") if name in sys.modules))')
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(ROOT), os.environ.get('PYTHONPATH', '')])}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=environment)
    assert done.stdout.split() == [emu_perception.__version__], done.stderr


def test_the_predictor_comes_from_the_package_itself():
    from emu_perception import Predictor as found
    assert found is Predictor and 'Predictor' in dir(emu_perception)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'emu_perception' has no attribute 'Predicator'"):
        emu_perception.Predicator  # noqa: B018
    with pytest.raises(ImportError):
        from emu_perception import Predicator  # noqa: F401


def test_without_a_path_the_model_that_comes_with_the_package_is_loaded():
    predictor = emu_perception.Predictor.load(device='cpu')
    assert predictor.metadata.name == Predictor.load(
        ROOT / 'models' / 'emu_default.safetensors', 'cpu').metadata.name
    image = np.zeros((96, 128, 3), np.uint8)
    assert predictor(image, fx=100.0).label.shape == (96, 128)


@pytest.mark.slow
def test_the_users_type_checker_knows_the_predictor(tmp_path):
    pytest.importorskip('mypy', reason='NOT TESTED: mypy is not installed')
    file = tmp_path / 'user.py'
    file.write_text('from emu_perception import Predictor\n'
                    'reveal_type(Predictor.load())\nreveal_type(Predictor.load(device=1))\n')
    done = subprocess.run([sys.executable, '-m', 'mypy', '--follow-imports', 'silent',
                           '--ignore-missing-imports', '--cache-dir', str(tmp_path), str(file)],
                          capture_output=True, text=True, cwd=ROOT)
    assert 'Revealed type is "emu_perception.predictor.Predictor"' in done.stdout, done.stdout
    assert 'incompatible type "int"; expected "str"' in done.stdout
