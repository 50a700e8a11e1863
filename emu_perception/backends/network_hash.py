# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What tells networks apart of which engines, graphs and proofs are kept: a hash of all of one."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib

from torch import nn


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
