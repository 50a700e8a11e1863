# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What tells measurements on the same images and truth from those on others of the same name."""

from __future__ import annotations

from collections.abc import Iterable
import hashlib

from .dataset_folder import DatasetFolder

_KINDS = ('image', 'label', 'depth', 'instance')


def split_digest(folder: DatasetFolder, stems: Iterable[str]) -> str:
    """
    Return a hash of some images, of what is true of them and of how that is read.

    Neither the order of the stems nor where the folder lies matters; what is missing does.

    :raises OSError: if a file cannot be read.
    """
    digest = hashlib.sha256(repr((
        folder.classes, folder.ignore_index, folder.things, folder.sky, folder.depth,
        folder.intrinsics, folder.baseline_m)).encode())
    for stem in sorted(stems):
        for kind in _KINDS:
            path = folder.map_path(kind, stem)
            found = b'' if path is None else hashlib.sha256(path.read_bytes()).digest()
            # Surrogates are of names that are no UTF-8.
            digest.update(f'{stem}\0{kind}\0'.encode(errors='surrogateescape') + found)
    return digest.hexdigest()
