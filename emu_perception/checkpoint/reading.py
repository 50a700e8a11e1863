# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Read a checkpoint: its document alone, or with the network built and filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from emu_perception.checkpoint.document import from_text, KEY, one_line
from emu_perception.checkpoint.metadata import CheckpointMetadata
from emu_perception.checkpoint.tensors import statistics_of, weights_of
from emu_perception.errors import ForeignFileError
from emu_perception.model_file import missing
from emu_perception.networks.families import build_network, check_answers, Network
from safetensors import safe_open, SafetensorError


def read_metadata(path: str | Path) -> CheckpointMetadata:
    """
    Read only the document of a checkpoint, and its statistics.

    :raises CheckpointError: if the file is missing, truncated, of another version or not ours.
    """
    path = Path(path)
    with _open(path) as file:
        return _metadata(file, path)


def load_checkpoint(path: str | Path) -> tuple[Network, CheckpointMetadata]:
    """
    Read a checkpoint and build its network on the CPU, float32, in eval mode.

    :raises CheckpointError: as ``read_metadata``, or if the tensors do not fit the architecture.
    """
    path = Path(path)
    with _open(path) as file:
        metadata = _metadata(file, path)
        try:
            network = build_network(metadata.architecture)
        except Exception as error:  # torch and timm raise many kinds; all mean the same here.
            raise one_line(f"{path}: field 'architecture': {error}") from error
        weights = weights_of(file, network, path)
    network.load_state_dict(weights)
    return network.eval(), metadata


def load_answering(path: str | Path) -> tuple[Network, CheckpointMetadata]:
    """
    Read a checkpoint as ``load_checkpoint``, of a network that answers in one pass.

    :raises CheckpointError: as there.
    :raises InputError: if it does not; it names the file and what to do.
    """
    network, metadata = load_checkpoint(path)
    check_answers(network, path)
    return network, metadata


def _open(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise one_line(f'{path}: is a folder; give the path of a .safetensors file')
        path.open('rb').close()  # safe_open says of one that may not be read that it is not there.
        return safe_open(path, framework='pt')
    except FileNotFoundError as error:
        raise missing(path) from error
    except PermissionError as error:
        raise one_line(f'{path}: cannot be read ({error.strerror})') from error
    except SafetensorError as error:
        raise one_line(
            f'{path}: field header: not a whole .safetensors file, truncated or of another kind '
            f'({size} bytes; {error}); copy or export it again') from error
    except (OSError, ValueError) as error:
        raise one_line(f'{path}: cannot be read ({error})') from error


def _metadata(file: Any, path: Path) -> CheckpointMetadata:
    text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise ForeignFileError(f"{path}: field '{KEY}': missing, so this .safetensors file is no "
                               'emu_perception checkpoint; make one with emu ship')
    metadata, shapes = from_text(text, path)
    return replace(metadata, statistics=statistics_of(file, shapes, path))
