# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether a backend answers several images together sooner than one after the other.

PYTHONPATH=. python tools/batch_gain.py [--checkpoint F] [--batch 4] [--rounds 15] [--device cpu]

The network and all its maps and scores, at the checkpoint's size, in PyTorch and, on a CPU, in
OpenVINO: a batch against as many single images, in turn, medians. ``Predictor`` batches a list
where that gains (``Backend.batch``).
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
import sys
import tempfile
from typing import Any, TYPE_CHECKING

from emu_perception.errors import EmuError
import numpy as np

if TYPE_CHECKING:  # --help does not wait for torch.
    from emu_perception.exporting.formats import Runs
    from emu_perception.exporting.whole_model import WholeModel
    import torch


def in_pytorch(model: WholeModel, device: torch.device) -> Runs:
    """Return what answers a batch in PyTorch, its answers in host memory."""
    import torch
    model = model.eval().to(device)

    def run(images: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [values.cpu().numpy()
                    for values in model(torch.from_numpy(images).to(device))]
    return run


def main() -> int:
    """Measure, and print a line a backend."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--checkpoint', type=Path)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--device', default='auto')
    options = parser.parse_args()
    from emu_perception.benchmarking.measure import interleaved, summary
    from emu_perception.checkpoint import load_checkpoint
    from emu_perception.devices import resolved_device
    from emu_perception.exporting.formats import need, written
    from emu_perception.exporting.whole_model import WholeModel
    from emu_perception.model_file import default_model
    import torch
    try:
        network, metadata = load_checkpoint(options.checkpoint or default_model())
        device = resolved_device(options.device)
    except EmuError as error:
        print(error, file=sys.stderr)
        return 1
    size, count = metadata.input_size, options.batch
    images = np.random.default_rng(0).integers(0, 255, (count, *size, 3), np.uint8)
    eager = in_pytorch(WholeModel(network, metadata, size), device)
    pairs = {f'eager on {device}': (eager, eager)}
    with tempfile.TemporaryDirectory() as folder:
        if device.type == 'cpu':
            row = need('openvino')
            pairs['openvino'] = (
                written(row, WholeModel(network, metadata, size),
                        torch.zeros(1, *size, 3, dtype=torch.uint8), Path(folder, 'one.xml')),
                written(row, WholeModel(network, metadata, size),
                        torch.zeros(count, *size, 3, dtype=torch.uint8), Path(folder, 'all.xml')))
        calls: dict[str, Any] = {}
        for name, (single, batched) in pairs.items():
            calls[f'{name}, singly'] = partial(
                lambda run: [run(image[None]) for image in images], single)
            calls[f'{name}, together'] = partial(batched, images)
        times = interleaved(calls, options.rounds)
    for name, values in times.items():
        print(f'{name}: median {summary(values)["median_ms"] / count:.1f} ms an image, of '
              f'{count} images, {options.rounds} rounds, torch with '
              f'{torch.get_num_threads()} threads')
    return 0


if __name__ == '__main__':
    sys.exit(main())
