# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Files that took minutes to make, kept for the next start.

A file's name is the hash of all that it was made from, and its first lines hold that hash and one
of its content: what is damaged, cut off or of another origin is not read but made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
import tempfile

from torch import nn

LOGGER = logging.getLogger('emu_perception')
_MAGIC = b'emu_perception engine 1'


def cache_folder() -> Path:
    """Return where engines are kept: ``XDG_CACHE_HOME`` or ~/.cache, emu_perception/engines."""
    root = os.environ.get('XDG_CACHE_HOME', '')
    # The specification has relative paths ignored.
    base = Path(root if root.startswith('/') else os.path.expanduser('~/.cache'))
    if not base.is_absolute():  # A user without a home, as in containers.
        base = Path(tempfile.gettempdir()) / f'cache-{os.getuid()}'
    return base / 'emu_perception' / 'engines'


def network_hash(network: nn.Module) -> str:
    """Return the hash of a network's structure and of every value in it."""
    digest = hashlib.sha256(str(network).encode())
    for name, values in network.state_dict().items():
        array = values.detach().cpu().contiguous().numpy()
        digest.update(f'{name} {array.dtype} {array.shape}'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def engine_key(*parts: object) -> str:
    """Return the key of an engine made from all of these."""
    return hashlib.sha256('\n'.join(map(str, parts)).encode()).hexdigest()


def read_engine(folder: Path, key: str) -> bytes | None:
    """Return an engine; None if there is none or it is not whole, which is said."""
    path = folder / f'{key}.engine'
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        LOGGER.warning('%s: cannot be read (%s); it is built again', path, error.strerror)
        return None
    head, _, engine = content.partition(b'\n\n')
    if head != _head(key, engine):
        # TensorRT would take the process down with it.
        LOGGER.warning('%s: is damaged or of another version; it is built again', path)
        return None
    return engine


def write_engine(folder: Path, key: str, engine: bytes) -> None:
    """Keep an engine; where that cannot be, it is said and nothing else happens."""
    path = folder / f'{key}.engine'
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with partial.open('wb') as file:
            file.write(_head(key, engine) + b'\n\n' + engine)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        LOGGER.warning('%s: cannot be written (%s); the engine is built again at the next start',
                       path, error.strerror)
    finally:
        try:
            partial.unlink(missing_ok=True)
        except OSError:
            LOGGER.debug('%s: cannot be removed', partial)


def _head(key: str, engine: bytes) -> bytes:
    return b'\n'.join([_MAGIC, key.encode(), hashlib.sha256(engine).hexdigest().encode()])
