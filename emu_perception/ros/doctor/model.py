# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoint, what runs it, and how fast that is here."""

from __future__ import annotations

from collections.abc import Iterator
import time
from typing import TYPE_CHECKING

from emu_perception.errors import CheckpointError, EmuError, kind_and_text
from emu_perception.model_file import resolve_model_file
from emu_perception.ros.doctor.finding import FAULT, Finding, OK, WARNING

if TYPE_CHECKING:  # Torch may be what is missing.
    from emu_perception.predictor import Predictor

_SIZE = (480, 640)
_AT_LEAST = 3


def findings(model: str, device: str, seconds: float) -> Iterator[Finding]:
    """
    Yield what there is to say of a checkpoint; what fails ends it.

    :param model: its path; '' = the default model.
    :param seconds: of the benchmark; 0 = none.
    """
    try:
        path = resolve_model_file(model)
    except EmuError as error:
        yield Finding('model', FAULT, str(error), 'install the package again, or give --model')
        return
    from emu_perception.backends.registry import is_installed, suitable
    from emu_perception.checkpoint import load_answering
    from emu_perception.devices import resolved_device
    from emu_perception.networks.families import DEFAULT_FAMILY
    from emu_perception.predictor import Predictor
    try:
        network, metadata = load_answering(path)
    except EmuError as error:
        yield Finding('model', FAULT, str(error), 'copy or export the file again'
                      if isinstance(error, CheckpointError) else 'give another model')
        return
    yield Finding('model', OK, f'{metadata.name}, {path}')
    try:
        kind = resolved_device(device)
        # By name: 'auto' would let PyTorch answer while the faster one is still compiled.
        choices = suitable(kind.type, metadata.architecture.get('family', DEFAULT_FAMILY))
        chosen = next(name for name in choices if is_installed(name))
        predictor = Predictor(network, metadata, device=str(kind), backend=chosen)
    except (EmuError, RuntimeError) as error:
        yield Finding('backend', FAULT, str(error) if isinstance(error, EmuError)
                      else kind_and_text(error), 'give --device cpu')
        return
    yield backend(predictor, chosen, choices[0])
    if seconds:
        yield benchmark(predictor, seconds)


def backend(predictor: Predictor, chosen: str, fastest: str) -> Finding:
    """Return what runs the network, and what would be faster."""
    about = f'{predictor.backend} on {predictor.device_description}'
    if predictor.backend_notes:
        return Finding('backend', WARNING, f'{about}; {"; ".join(predictor.backend_notes)}',
                       f'PyTorch answers; renew {chosen}, or report this')
    if chosen != fastest:
        return Finding('backend', WARNING, f'{about}; {fastest} is not installed',
                       f'pip install {fastest}: two to three times faster on a CPU')
    against = '' if predictor.backend == 'eager' else ', proven against PyTorch'
    return Finding('backend', OK, f'{about}{against}')


def benchmark(predictor: Predictor, seconds: float) -> Finding:
    """Return the median time of an image of noise: uint8 in host memory to all maps in it."""
    import numpy as np
    image = np.random.default_rng(0).integers(0, 256, (*_SIZE, 3), np.uint8)
    predictor.warm_up(_SIZE)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < _AT_LEAST:
        start = time.perf_counter()
        predictor(image, fx=float(_SIZE[1]))
        times.append(1e3 * (time.perf_counter() - start))
    median = float(np.median(times))
    return Finding('speed', OK, f'{median:.1f} ms an image of {_SIZE[1]}x{_SIZE[0]} (median of '
                   f'{len(times)}), {1e3 / median:.0f} a second')
