# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which device a name stands for, and whether it is to be had."""

from __future__ import annotations

from functools import lru_cache
import logging

from emu_perception.errors import InputError
import torch

LOGGER = logging.getLogger('emu_perception')


@lru_cache(maxsize=1)
def _say_that_there_is_no_gpu() -> None:
    """Warn once in a process: each model that is loaded asks for the device again."""
    LOGGER.warning("device 'auto': no usable CUDA GPU found, running on the CPU, which is much "
                   'slower')


def resolved_device(name: str) -> torch.device:
    """
    Return the device that a name stands for; 'auto' is CUDA where there is one.

    :raises InputError: if it is not to be had.
    """
    if name == 'auto':
        found = torch.cuda.is_available()
        if not found:
            _say_that_there_is_no_gpu()
        return torch.device('cuda', torch.cuda.current_device()) if found else torch.device('cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is '{name}': give auto, cpu, cuda or cuda:N") from error
    if device.type not in ('cpu', 'cuda'):
        raise InputError(f"device is '{name}': give auto, cpu, cuda or cuda:N")
    if device.type == 'cuda':
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (device.index or 0) >= count:
            raise InputError(f"device is '{name}', but torch {torch.__version__} sees {count} "
                             'usable CUDA GPUs: check the driver and that torch was built for '
                             "CUDA, or give device 'cpu'")
    return device


def in_words(device: torch.device) -> str:
    """Return which processor a device is: the GPU's name, or how many threads of the CPU."""
    return (torch.cuda.get_device_name(device) if device.type == 'cuda' else
            f'cpu ({torch.get_num_threads()} threads)')
