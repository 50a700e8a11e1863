# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What runs a network: one file a backend, one record here; and who is chosen.

A backend stays only where it was measured to be faster than the others on some machine:
``results/speed`` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
import logging

from emu_perception.backends.base import Backend
from emu_perception.backends.cuda import CudaBackend
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.openvino import OpenVinoBackend, OpenVinoWhenReady
from emu_perception.backends.proving import Disproof
from emu_perception.backends.request import BackendOptions
from emu_perception.backends.tensorrt import TensorRTBackend
from emu_perception.errors import InputError
from emu_perception.networks.families import InferenceNetwork

LOGGER = logging.getLogger('emu_perception')


@dataclass(frozen=True)
class BackendRecord:
    """
    A backend.

    :ivar devices: kinds of device it runs on.
    :ivar rank: by kind of device, its place among those that 'auto' tries there, the fastest
        first; what has none is only for who names it.
    :ivar package: what has to be importable.
    :ivar when_ready: what 'auto' takes in its place: a form that lets no image wait for a
        compiler.
    :ivar stand_in: what goes on where it is there but fails, which hangs on drivers and versions;
        None = who has named it is told.
    """

    kind: type[Backend]
    devices: tuple[str, ...]
    rank: Mapping[str, int] = field(default_factory=dict)
    package: str | None = None
    when_ready: type[Backend] | None = None
    stand_in: str | None = None


BACKENDS: dict[str, BackendRecord] = {record.kind.name: record for record in (
    BackendRecord(EagerBackend, ('cpu', 'cuda'), rank={'cpu': 1, 'cuda': 1}),
    BackendRecord(OpenVinoBackend, ('cpu',), rank={'cpu': 0}, package='openvino',
                  when_ready=OpenVinoWhenReady),
    BackendRecord(CudaBackend, ('cuda',), rank={'cuda': 0}),
    # It builds for minutes.
    BackendRecord(TensorRTBackend, ('cuda',), package='tensorrt', stand_in='cuda'),
)}


def is_installed(name: str) -> bool:
    """Return whether what a backend needs can be imported."""
    needs = BACKENDS[name].package
    return needs is None or find_spec(needs) is not None


def preferred(device: str) -> tuple[str, ...]:
    """Return what 'auto' tries on a kind of device, the fastest first, PyTorch last."""
    ranks = {name: record.rank[device] for name, record in BACKENDS.items()
             if device in record.rank}
    return tuple(sorted(ranks, key=ranks.__getitem__))


def suitable(device: str, family: str) -> tuple[str, ...]:
    """Return those of ``preferred`` that know networks of a family."""
    return tuple(name for name in preferred(device) if family in BACKENDS[name].kind.families)


def make_backend(name: str, network: InferenceNetwork, size: tuple[int, int],
                 options: BackendOptions) -> Backend:
    """
    Return the backend of that name, ready and proven for a size; what was refused is its notes.

    One that does not say what PyTorch says is refused however it was asked for, and the next one
    answers.

    :param name: 'auto' is the fastest one that is installed and takes this network.
    :param size: (height, width) at the network.
    :raises InputError: if there is no such backend, it is not installed, not for this device, or
        cannot take this network.
    """
    automatic = name == 'auto'
    device, family = options.device.type, network.family
    choices = ([choice for choice in suitable(device, family) if is_installed(choice)]
               if automatic else _named(name, device))
    if automatic and (others := [other for other in preferred(device)
                                 if other not in suitable(device, family)]):
        LOGGER.info("%s runs no network of the family '%s': %s does", ', '.join(others), family,
                    choices[0])
    notes: list[str] = []
    for choice, following in zip(choices, [*choices[1:], None]):
        record = BACKENDS[choice]
        kind = record.when_ready if automatic and record.when_ready else record.kind
        try:
            backend = kind(network, options)
            backend.compile(size)
        except InputError as error:
            told = not (automatic or record.stand_in or isinstance(error, Disproof))
            if following is None or told:
                raise
            notes.append(str(error))
            LOGGER.log(logging.ERROR if isinstance(error, Disproof) else logging.WARNING,
                       '%s; going on with %s, which is slower', error, following)
        else:
            backend.notes[:0] = notes
            return backend
    raise AssertionError('the last choice is taken or its error raised')


def _named(name: str, device: str) -> list[str]:
    """Return a backend that was asked for, and what goes on in its place if need be."""
    if name not in BACKENDS:
        raise InputError(f"backend is '{name}': give auto, {', '.join(BACKENDS)}")
    record = BACKENDS[name]
    if device not in record.devices:  # First: what is installed would be in vain.
        raise InputError(f"backend is '{name}', which runs on {' and '.join(record.devices)}, not "
                         f"on '{device}': give 'auto'")
    if not is_installed(name):
        raise InputError(f"backend is '{name}', which is not installed: pip install {name}, or "
                         "give 'auto'")
    names = [name]
    while record.stand_in is not None:
        names.append(record.stand_in)
        record = BACKENDS[record.stand_in]
    return names if 'eager' in names else [*names, 'eager']
