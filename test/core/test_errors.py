# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors are told apart by what they are, not by what they say."""

from __future__ import annotations

import subprocess
import sys

from emu_perception.errors import is_out_of_memory, kind_and_text
import pytest
import torch


def test_a_gpus_memory_that_runs_out_is_known_by_its_type_alone():
    assert is_out_of_memory(torch.cuda.OutOfMemoryError('Tried to allocate 2.00 GiB'))
    assert not is_out_of_memory(RuntimeError('CUDA error: out of memory'))
    assert not is_out_of_memory(ValueError('OutOfMemory is no class of this data set'))


@pytest.mark.parametrize(('code', 'expected'), [(2, True), (700, False), (None, False)])
def test_an_error_of_cuda_itself_is_known_by_its_code(code, expected):
    kind = getattr(torch, 'AcceleratorError', None)
    if kind is None:
        pytest.skip('NOT TESTED: this torch has no AcceleratorError')
    error = kind('CUDA error: whatever it says')
    if code is not None:
        error.error_code = code
    assert is_out_of_memory(error) is expected


def test_the_question_does_not_load_torch():
    code = ('import sys; from emu_perception.errors import is_out_of_memory; '
            'print(is_out_of_memory(MemoryError()), "torch" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['False', 'False']


def test_an_unforeseen_error_is_one_line_with_its_type():
    assert kind_and_text(IndexError('a\n  layer')) == 'IndexError: a layer'
