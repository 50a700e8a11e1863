# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which Triton kernels take part: those that give here what their plain forms in PyTorch give."""

from __future__ import annotations

from collections.abc import Collection
import logging

from emu_perception.backends.cuda_network import DeviceHeads
from emu_perception.backends.cuda_program import Model, Program
from emu_perception.backends.cuda_runtime import one_line
from emu_perception.backends.request import Request
from emu_perception.kernels import triton_runs_on
import numpy as np

LOGGER = logging.getLogger('emu_perception')
# Of what a kernel does in another order than PyTorch: sums in float32, of factors that are rounded
# once more in the network's type.
_KERNEL_ROUNDING = {'fp32': 2.0 ** -17, 'fp16': 2.0 ** -14, 'bf16': 2.0 ** -11}


def choose_kernels(program: Program, probes: Collection[np.ndarray], request: Request) -> None:
    """
    Take each Triton kernel that gives what its plain form gives here, for this network.

    A kernel that fails, or that this GPU's compiler gets wrong, is said once and left out.

    :param program: of the probes' size.
    """
    model = program.model
    if not triton_runs_on(model.device):
        LOGGER.warning('cuda: no Triton (pip install triton): the last layers and the entropy run '
                       'in PyTorch, which is slower')
        return
    rounding = _KERNEL_ROUNDING[model.options.precision]
    plain = [program.expected(image, request, rounding) for image in probes]
    heads = getattr(model.network, 'heads', None)
    kernels: list[tuple[str, Model | DeviceHeads, str]] = [('segmentation', model, 'fused_maps')]
    if isinstance(heads, DeviceHeads):
        kernels.append(('classifier', heads, 'fused'))
    for kernel, owner, switch in kernels:
        setattr(owner, switch, True)
        try:
            problem = next(filter(None, (
                expected.problem(program.answer(image, request))
                for image, expected in zip(probes, plain))), '')
            if problem:
                problem = f'differs from the plain form: {problem}'
        except Exception as error:  # No C compiler, no memory, no such GPU, ...
            problem = one_line(error)
        if problem:
            setattr(owner, switch, False)
            LOGGER.warning('cuda: the Triton kernel %s is left out, PyTorch is slower (%s)',
                           kernel, problem)
