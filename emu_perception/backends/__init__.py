# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What runs a network: one file a backend, one line here.

A backend stays only where it was measured to be faster than the others on some machine:
``training/results/speed`` has the figures.
"""

from __future__ import annotations

from importlib.util import find_spec
import logging
from typing import Any

import torch

from emu_perception.backends.base import Backend, NetworkMaps
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.openvino import OpenVinoBackend
from emu_perception.errors import InputError
from emu_perception.networks.multitask import FoldedNetwork

LOGGER = logging.getLogger('emu_perception')
BACKENDS: dict[str, type[Backend]] = {'eager': EagerBackend, 'openvino': OpenVinoBackend}
# What 'auto' tries on a CPU, the fastest first.
PREFERRED_ON_CPU = ('openvino', 'eager')


def make_backend(name: str, network: FoldedNetwork, size: tuple[int, int], *,
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
        choices = [choice for choice in (PREFERRED_ON_CPU if device.type == 'cpu' else ('eager',))
                   if is_installed(choice)]
        for choice in choices[:-1]:
            try:
                backend = BACKENDS[choice](network, device=device, **arguments)
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
    backend = kind(network, device=device, **arguments)
    backend.compile(size)
    return backend


def is_installed(name: str) -> bool:
    """Return whether what a backend needs can be imported."""
    needs = BACKENDS[name].package
    return needs is None or find_spec(needs) is not None


__all__ = ['Backend', 'BACKENDS', 'is_installed', 'make_backend', 'NetworkMaps',
           'PREFERRED_ON_CPU']
