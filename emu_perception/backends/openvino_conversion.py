# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A network and its maps as models of OpenVINO, converted from PyTorch in a process of its own.

Converting traces the network, and each trace leaves ten to twenty megabytes in PyTorch for as long
as the process lives: a robot that changes its model now and then would run out of memory. Beside
that a running network is not held up by seconds of tracing (Python runs one thread at a time), and
a converter that crashes takes nobody with it.
"""

from __future__ import annotations

from dataclasses import dataclass
import logging
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any
import warnings

from emu_perception.backends.openvino_modules import Maps, NormalizedNetwork
from emu_perception.uncollected import uncollected
import torch
from torch import nn

LOGGER = logging.getLogger('emu_perception')
# Far more than a small board needs for a large network.
_TIMEOUT_S = 600.0
_CHILD = f'import sys; from {__name__} import main; main(sys.argv[1])'


@dataclass(frozen=True)
class Conversion:
    """
    What is to be converted.

    :ivar network: with its normalisation.
    :ivar temperature: divides the logits.
    :ivar size: (height, width) of an input.
    :ivar open_sizes: whether height and width are left open. What an encoder has computed from
        them in Python is a constant of ``size`` all the same: each graph has to prove itself.
    """

    network: NormalizedNetwork
    temperature: float
    size: tuple[int, int]
    open_sizes: bool


def import_openvino() -> Any:
    """
    Import OpenVINO without its telemetry.

    With it, importing and converting report to a server on the Internet unless the user has
    found out how to decline: not from a robot. OpenVINO goes on without where it is not found.
    """
    if 'openvino' not in sys.modules:
        sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    with uncollected('openvino'):
        import openvino
    return openvino


def models_of(conversion: Conversion) -> tuple[Any, Any]:
    """
    Return OpenVINO's models of the network and of its maps, converted in another process.

    In this one where that cannot be: a network whose classes are no module's, no memory for it.

    :raises Exception: of many kinds, if OpenVINO cannot take this network.
    """
    with tempfile.TemporaryDirectory(prefix='emu_openvino_') as folder:
        try:
            torch.save(conversion, Path(folder) / 'conversion')
            _convert_beside(folder)
            core = import_openvino().Core()
            # Mapped into memory: the files may go.
            return tuple(core.read_model(Path(folder) / f'{part}.xml')
                         for part in ('network', 'maps'))  # type: ignore[return-value]
        except Exception as error:
            LOGGER.info('openvino: converting in this process (%s)', error)
    return converted_models(conversion)


def _convert_beside(folder: str) -> None:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    # A session of its own: Ctrl-C is for this process, which waits for the other.
    done = subprocess.run([sys.executable, '-c', _CHILD, folder], env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=_TIMEOUT_S, start_new_session=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f'exit {done.returncode}'])[-1])


def main(folder: str) -> None:
    """Convert what lies in a folder, in a process that does nothing else."""
    os.nice(5)  # A network may be running beside it.
    torch.set_num_threads(1)
    conversion = torch.load(Path(folder) / 'conversion', weights_only=False)
    for part, model in zip(('network', 'maps'), converted_models(conversion), strict=True):
        import_openvino().save_model(model, Path(folder) / f'{part}.xml', compress_to_fp16=False)


@torch.inference_mode(False)
@torch.no_grad()
def converted_models(conversion: Conversion) -> tuple[Any, Any]:
    """Return OpenVINO's models of the network and of its maps, converted here."""
    network, size = conversion.network, conversion.size
    form = network.network.depth_form
    image = torch.zeros(1, *size, 3, dtype=torch.uint8)
    raw = network(image)[:len(network.tasks)]
    model = converted(network, (image,), open_sizes=conversion.open_sizes)
    whole = all(side % part == 0 for x in raw for side, part in zip(size, x.shape[-2:]))
    if conversion.open_sizes and whole:
        factors = tuple((size[0] // x.shape[-2], size[1] // x.shape[-1]) for x in raw)
        maps = Maps(network.tasks, conversion.temperature, factors=factors, form=form)
    else:
        maps = Maps(network.tasks, conversion.temperature, size=size, form=form)
    return model, converted(maps, raw, open_sizes=conversion.open_sizes and whole)


def converted(module: nn.Module, inputs: tuple[torch.Tensor, ...], *,
              open_sizes: bool = False) -> Any:
    """Return the model of a module for the sizes of ``inputs``, or with height and width open."""
    with warnings.catch_warnings():
        # The tracer warns of what becomes a constant: the proof finds where that is wrong.
        warnings.simplefilter('ignore')
        # Traced here: OpenVINO would trace twice, to compare, which takes twice as long.
        traced = torch.jit.trace(module, inputs, check_trace=False)
        return import_openvino().convert_model(
            traced, example_input=inputs if len(inputs) > 1 else inputs[0],
            input=[_open(x) if open_sizes else list(x.shape) for x in inputs])


def _open(x: torch.Tensor) -> list[int]:
    # uint8 images are [1, h, w, 3], raw maps [1, C, h, w].
    return [1, -1, -1, x.shape[3]] if x.dtype == torch.uint8 else [1, x.shape[1], -1, -1]


def reshaped(model: Any, shapes: list[list[int]]) -> Any:
    """Return a copy of a model for inputs of these shapes; the weights are shared."""
    copy = model.clone()
    copy.reshape(dict(enumerate(shapes)))
    return copy
