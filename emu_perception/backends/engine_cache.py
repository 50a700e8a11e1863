# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Engines that took minutes to build, kept for the next start under the hash of their origin."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
from pathlib import Path

from emu_perception import cache_files
from torch import nn


def cache_folder() -> Path:
    """Return where engines are kept."""
    return cache_files.cache_folder('engines')


def network_hash(network: nn.Module) -> str:
    """Return the hash of a network's structure and options and of every value in it."""
    digest = hashlib.sha256(str(network).encode())
    for option in _options(network):
        digest.update(option.encode())
    for name, values in network.state_dict().items():
        array = values.detach().cpu().contiguous().numpy()
        digest.update(f'{name} {array.dtype} {array.shape}'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _options(network: nn.Module) -> Iterator[str]:
    """Yield what modules were made with, which not all of them print."""
    for place, module in network.named_modules():
        for name, value in sorted(vars(module).items()):
            if _is_plain(value):
                yield f'{place}.{name} {value!r}\n'


def _is_plain(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def engine_key(*parts: object) -> str:
    """Return the key of an engine made from all of these."""
    return cache_files.cache_key(*parts)


def read_engine(folder: Path, key: str) -> bytes | None:
    """
    Return an engine; None if there is none or it is not whole, which is said.

    A damaged one would take the process down with TensorRT.
    """
    return cache_files.read_cached(folder / f'{key}.engine', key, 'the engine is built again')


def write_engine(folder: Path, key: str, engine: bytes) -> None:
    """Keep an engine; where that cannot be, it is said and nothing else happens."""
    cache_files.write_cached(folder / f'{key}.engine', key, engine,
                             'the engine is built again at the next start')
