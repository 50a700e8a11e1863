# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels give what PyTorch gives, and compile for GPUs that are not here."""

from __future__ import annotations

from importlib.util import find_spec
import json
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

import emu_perception
from emu_perception.kernels import triton_runs_on
from emu_perception.kernels.classifier import plain_classifier
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from head_reference import classifier_reference
import pytest
from rounding import EXACT, NETWORK
import torch

pytestmark = pytest.mark.skipif(find_spec('triton') is None,
                                reason='NOT TESTED: triton is not installed')
# The least shared memory that a block may have on any GPU since Ampere (8.6, 8.9).
SHARED_BYTES = 99 * 1024


@pytest.fixture(scope='module')
def cases() -> dict[str, Any]:
    """Return what the kernels gave in Triton's interpreter."""
    # The package that is tested here, not one that is installed.
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(Path(emu_perception.__file__).parents[1]), str(Path(__file__).parents[1]),
         os.environ.get('PYTHONPATH', '')])}
    done = subprocess.run([sys.executable, '-W', 'ignore', 'kernel_cases.py'], timeout=240,
                          cwd=Path(__file__).parent, capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_upsampling_argmax_entropy_and_confidence_in_one_pass_are_the_plain_ones(cases):
    """Both are as near to float64 as float32's arithmetic is (segmentation_reference.py)."""
    assert len(cases['segmentation']) == 2 * 7
    for labels, entropy, confidence in cases['segmentation']:
        assert labels == 0 and entropy <= 1 and confidence <= 1


@pytest.mark.slow
def test_a_logit_that_is_not_finite_is_not_lost(cases):
    """The risk flag is raised by it."""
    assert all(cases['not_finite'])


@pytest.mark.slow
def test_gather_add_relu_and_last_layer_in_one_kernel_are_the_plain_ones(cases):
    """Both are as near to float64 as their types' arithmetic is (head_reference.py)."""
    assert len(cases['classifier']) == 2 * 6
    assert all(error <= 1 for error in cases['classifier'])


@pytest.mark.slow
def test_a_prediction_with_both_kernels_is_that_of_pytorch(cases):
    assert len(cases['backend']) == 4
    assert all(0 <= difference < NETWORK for difference in cases['backend'])


@pytest.mark.slow
@pytest.mark.parametrize(('capability', 'dtype'), [(80, 'fp16'), (90, 'fp32'), (90, 'bf16')])
def test_the_kernels_compile_for_a_gpu_within_its_memory_and_registers(
        capability, dtype, tmp_path, monkeypatch):
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    from emu_perception.kernels.classifier import launch_options
    from emu_perception.kernels.segmentation import BLOCK
    from emu_perception.kernels.triton_kernels import classifier_kernel, segmentation_kernel
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    def kind(name: str) -> str:
        if name in ('c0', 'c1', 'c2', 'c3', 'weight', 'logits'):
            return f'*{dtype}'
        if name in ('out', 'bias', 'entropy', 'confidence'):
            return '*fp32'
        if name == 'label':
            return '*u8'
        scales = ('sy1', 'sx1', 'sy2', 'sx2', 'sy3', 'sx3', 'scale_y', 'scale_x',
                  'inverse_temperature')
        return 'fp32' if name in scales else 'i32'
    # 40 classes and 150; a D of 256.
    for kernel, options in ((segmentation_kernel, {'BLOCK': BLOCK}),
                            (classifier_kernel, launch_options(40, 256)),
                            (classifier_kernel, launch_options(150, 256))):
        constants = {name: value for name, value in options.items() if name.isupper()}
        if kernel is classifier_kernel:
            # What Triton finds out of maps with channels last and a D of 256: it reads vectors.
            constants.update(dict.fromkeys(('d0s', 'd1s', 'd2s', 'd3s'), 1))
        even = {(i,): [['tt.divisibility', 16]] for i, name in enumerate(kernel.arg_names)
                if name == 'dim' or kind(name)[0] == '*' or name[0] in 'yx' and name[2:] == 's'}
        signature = {name: 'constexpr' if name in constants else kind(name)
                     for name in kernel.arg_names}
        compiled = triton.compile(
            ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=even),
            target=GPUTarget('cuda', capability, 32),
            options={name: value for name, value in options.items() if name.islower()})
        assert compiled.metadata.shared <= SHARED_BYTES
        assert spilled_bytes(compiled.asm['cubin'], tmp_path) <= 32


def spilled_bytes(cubin: bytes, folder: Path) -> int:
    """Return how much of the registers of a thread a compiled kernel keeps in memory."""
    import triton
    tool = Path(triton.__file__).parent / 'backends' / 'nvidia' / 'bin' / 'cuobjdump'
    if not tool.exists():
        pytest.skip('NOT TESTED: this Triton brings no cuobjdump')
    path = folder / 'kernel.cubin'
    path.write_bytes(cubin)
    done = subprocess.run([tool, '-res-usage', path], capture_output=True, text=True, check=True)
    return max(int(found) for found in re.findall(r'STACK:(\d+)', done.stdout))


def test_without_triton_or_a_gpu_the_plain_form_is_taken(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    assert not triton_runs_on(torch.device('cpu'))
    monkeypatch.setattr('emu_perception.kernels.find_spec', lambda name: None)
    assert not triton_runs_on(torch.device('cuda'))


def test_the_plain_form_is_the_folded_head(network):
    """The reference of the kernel is itself held against what training knows, in float64."""
    features = [x.double() for x in network.features(torch.randn(1, 3, 96, 128))]
    heads = network.folded().heads.double()
    expected = heads(features)
    maps = [torch.einsum('dc,bchw->bdhw', heads.get_buffer(f'weight{i}'), x)
            for i, x in enumerate(features)]
    maps[0] = maps[0] + heads.get_buffer('bias')[:, None, None]
    first = 0
    for task, width in zip(heads.tasks, heads.widths):
        part = [x[:, first:first + width] for x in maps]
        weight, bias = heads.get_buffer(f'{task}_weight')[:, :, 0, 0], heads.get_buffer(
            f'{task}_bias')
        exact, _ = classifier_reference(part, weight, bias)
        assert (exact - expected[task]).abs().max() < EXACT * exact.abs().max()
        part = [x.float() for x in part]
        exact, bound = classifier_reference(part, weight.float(), bias.float())
        found = plain_classifier(part, weight.float(), bias.float())
        assert (found - exact).abs().max() <= bound
        first += width
    assert heads.tasks == (SEGMENTATION, DEPTH)
