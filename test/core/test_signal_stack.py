# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Models that came and went leave a process that still answers to signals."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

from emu_perception.backends import is_installed
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import faulthandler, gc, os, signal, sys, threading
faulthandler.enable()  # Has a stack for signals, too.
from emu_perception.predictor import Predictor

def made():
    predictor = Predictor.load(device='cpu', backend='openvino')
    assert predictor.backend == 'openvino', predictor.backend_notes
    return predictor

def dropped(place):
    kept[place] = None
    gc.collect()

kept = [made() for _ in range(2)]
for place in range(2):
    dropped(place)
kept.append(made())
# As a node does: the thread that ends with a model is another than the one that loaded it.
thread = threading.Thread(target=dropped, args=(2,))
thread.start()
thread.join()
signal.signal(signal.SIGTERM, lambda *_: print('handled', flush=True))
os.kill(os.getpid(), signal.SIGTERM)
print('alive', flush=True)
"""


@pytest.mark.slow
def test_a_signal_after_openvino_does_not_end_the_process():
    if not is_installed('openvino'):
        pytest.skip('NOT TESTED: openvino is not installed (requirements/cpu.txt)')
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True,
                          cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert done.stdout.split() == ['handled', 'alive']
