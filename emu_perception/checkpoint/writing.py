# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Write a checkpoint: whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path

from emu_perception.checkpoint.document import KEY, one_line, to_text
from emu_perception.checkpoint.metadata import CheckpointMetadata
from emu_perception.checkpoint.tensors import tensors_of
from emu_perception.networks.families import Network
from safetensors import SafetensorError
from safetensors.torch import save_file


def save_checkpoint(path: str | Path, network: Network, metadata: CheckpointMetadata,
                    *, half: bool = False) -> None:
    """
    Write a checkpoint; an existing file is replaced only once the new one is complete.

    :param network: its weights, in the trained (not folded) layout.
    :param metadata: its ``architecture`` is replaced by the network's own arguments.
    :param half: store matrices and kernels in float16; they are loaded as float32. Vectors (the
        norms' variances, which may leave float16's range, and the biases) and the statistics stay
        as they are.
    :raises CheckpointError: if the metadata do not fit the network, a weight is not finite or the
        file cannot be written.
    """
    path = Path(path)
    # What could not be read back is refused before the file exists.
    text = to_text(replace(metadata, architecture=network.arguments), path)
    tensors = tensors_of(network, metadata.statistics, path, half=half)
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={KEY: text})
        with partial.open('rb') as file:
            # safetensors makes files that only their owner can read.
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())  # Else a power cut may leave the new name with no content.
        os.replace(partial, path)
    except (SafetensorError, OSError) as error:
        raise one_line(f'{path}: cannot be written ({error})') from error
    finally:
        partial.unlink(missing_ok=True)
