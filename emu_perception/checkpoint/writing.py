# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Write a checkpoint: whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.checkpoint.document import KEY, one_line, to_text
from emu_perception.checkpoint.metadata import CheckpointMetadata
from emu_perception.checkpoint.tensors import tensors_of
from emu_perception.networks.families import Network
from emu_perception.whole_files import whole_path
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
    try:
        with whole_path(path) as partial:
            save_file(tensors, partial, metadata={KEY: text})
            partial.chmod(0o644)  # safetensors makes files that only their owner can read.
    except OSError as error:
        raise one_line(f'{path}: cannot be written ({error.strerror or error})') from error
    except SafetensorError as error:
        raise one_line(f'{path}: cannot be written ({error})') from error
