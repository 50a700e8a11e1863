# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What runs a network: one file a backend, one line here.

A backend stays only where it was measured to be faster than the others on some machine:
``results/speed`` has the figures.
"""

from __future__ import annotations

from importlib.util import find_spec
import logging
from typing import Any

from emu_perception.backends.base import Backend, Finishing
from emu_perception.backends.cuda import CudaBackend
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.openvino import OpenVinoBackend, OpenVinoWhenReady
from emu_perception.backends.tensorrt import TensorRTBackend
from emu_perception.errors import InputError
from emu_perception.networks.families import InferenceNetwork
import torch

LOGGER = logging.getLogger('emu_perception')
BACKENDS: dict[str, type[Backend]] = {
    'eager': EagerBackend, 'openvino': OpenVinoBackend, 'cuda': CudaBackend,
    'tensorrt': TensorRTBackend}
# What 'auto' tries on a CPU, the fastest first.
PREFERRED_ON_CPU = ('openvino', 'eager')
# Likewise on a GPU. TensorRT builds for minutes: only who names it gets it.
PREFERRED_ON_CUDA = ('cuda', 'eager')
# What goes on where a backend that is there fails, which hangs on drivers and versions.
STAND_INS = {'tensorrt': 'cuda'}
# What 'auto' takes instead: a form that lets no image wait for a compiler.
WHEN_READY: dict[str, type[Backend]] = {'openvino': OpenVinoWhenReady}


def make_backend(name: str, network: InferenceNetwork, size: tuple[int, int], *,
                 device: torch.device, **arguments: Any) -> Backend:
    """
    Return the backend of that name, ready for a size.

    :param name: 'auto' is the fastest one that is installed and takes this network.
    :param size: (height, width) at the network.
    :param arguments: of ``Backend``.
    :raises InputError: if there is no such backend, it is not installed or not for this device.
    """
    if name not in ('auto', *BACKENDS):
        raise InputError(f"backend is '{name}': give auto, {', '.join(BACKENDS)}")
    if name == 'auto':
        preferred = PREFERRED_ON_CPU if device.type == 'cpu' else PREFERRED_ON_CUDA
        choices = [choice for choice in preferred if is_installed(choice)]
        for choice in choices[:-1]:
            try:
                kind = WHEN_READY.get(choice, BACKENDS[choice])
                backend = kind(network, device=device, **arguments)
                backend.compile(size)
                return backend
            except InputError as error:
                LOGGER.warning('%s; going on with %s, which is slower', error, choices[-1])
        return BACKENDS[choices[-1]](network, device=device, **arguments)
    if not is_installed(name):
        raise InputError(f"backend is '{name}', which is not installed: pip install {name}, or "
                         "give 'auto'")
    kind = BACKENDS[name]
    if device.type not in kind.devices:
        raise InputError(f"backend is '{name}', which runs on {' and '.join(kind.devices)}, not "
                         f"on '{device}': give 'auto'")
    try:
        backend = kind(network, device=device, **arguments)
        backend.compile(size)
        return backend
    except InputError as error:
        if name not in STAND_INS:
            raise
        LOGGER.warning('%s; going on with %s, which is slower', error, STAND_INS[name])
    return make_backend(STAND_INS[name], network, size, device=device, **arguments)


def is_installed(name: str) -> bool:
    """Return whether what a backend needs can be imported."""
    needs = BACKENDS[name].package
    return needs is None or find_spec(needs) is not None


__all__ = ['Backend', 'BACKENDS', 'Finishing', 'is_installed', 'make_backend',
           'PREFERRED_ON_CPU', 'PREFERRED_ON_CUDA']
