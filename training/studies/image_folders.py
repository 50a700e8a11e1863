# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of images from elsewhere, as the studies take them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded, is_litter

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.webp')


def image_groups(texts: Iterable[str], taken: Container[str]) -> dict[str, list[Path]]:
    """
    Read several of ``NAME=FOLDER``.

    :param taken: names of groups that are there already.
    :raises InputError: as ``image_files``, or if a name is given twice: one of the two groups
        would be lost.
    """
    groups: dict[str, list[Path]] = {}
    for text in texts:
        name, files = image_files(text)
        if name in groups or name in taken:
            raise InputError(f"--images {text}: there is a group '{name}' already: give another "
                             'name')
        groups[name] = files
    return groups


def image_files(text: str) -> tuple[str, list[Path]]:
    """
    Read ``NAME=FOLDER``: a group's name and its images.

    :raises InputError: if it is something else, or there is no image.
    """
    name, equals, folder = text.partition('=')
    if not (name and equals and folder):
        raise InputError(f"--images is '{text}': give NAME=FOLDER")
    root = expanded(folder)
    if not root.is_dir():
        raise InputError(f'--images {text}: {root} is no folder')
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in _SUFFIXES
                   and not is_litter(path.name))
    if not files:
        raise InputError(f'--images {text}: no image ({", ".join(_SUFFIXES)}) in {root}')
    return name, files
