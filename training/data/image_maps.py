# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a data set folder: found however a system spells them, read as they are stored."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from emu_perception.cameras import png_bytes
from emu_perception.cameras.image_files import orientation_of, rgb_of
from emu_perception.dataset_fields import DatasetError
from emu_perception.errors import InputError
from emu_perception.foreign_files import is_litter, one_spelling
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.png', '.jpeg')


class FilesByStem:
    """
    The files of one folder by their stems.

    :param suffixes: in lower case; of two files with one stem the first suffix counts.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        self.folder, self._suffixes = folder, suffixes

    def find(self, stem: str) -> Path | None:
        """Return the file of a stem, None where there is none."""
        for suffix in self._suffixes:
            path = self.folder / f'{stem}{suffix}'
            if path.exists():
                return path
        path = self._oddly_named.get(one_spelling(stem), self.folder)
        return path if path.is_file() else None

    def listed(self) -> list[Path]:
        """Return all files that could be meant, sorted; none where there is no such folder."""
        return sorted(path for path in self.folder.glob('*')
                      if path.suffix.lower() in self._suffixes and not is_litter(path.name))

    @cached_property
    def _oddly_named(self) -> dict[str, Path]:
        """Files whose suffix has another case, or whose accents stand apart; listed once."""
        return {one_spelling(path.stem): path for path in self.listed()
                if path.suffix not in self._suffixes or path.stem != one_spelling(path.stem)}


def read_image(path: Path) -> np.ndarray:
    """
    Read an image that has a truth, as rgb uint8 [H, W, 3].

    One that is to be turned by its EXIF orientation is refused: whether its truth is turned too
    nobody can know, and training on the two askew would be silent.

    :raises DatasetError: if it is none, is cut off or is to be turned.
    """
    try:
        data = path.read_bytes()
        turned = orientation_of(data)
        if turned != 1:
            raise DatasetError(
                f'{path}: EXIF orientation {turned} would turn it, and its maps not: have the '
                'pixels turned for good (`mogrify -auto-orient FILE`, where the maps are upright) '
                'or the mark removed (`exiftool -Orientation= FILE`, where they are not)')
        return rgb_of(data)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
    except DatasetError:
        raise
    except InputError as error:
        raise DatasetError(f'{path}: not a readable image: {error}') from error


def read_map(path: Path, *, palette: bool) -> np.ndarray | None:
    """
    Read a map as its values are stored, uint8 or uint16 [H, W]; see ``png_bytes.stored_values``.

    :param palette: whether the indices of a palette are the values.
    :return: None if it is no PNG of one channel, or is damaged.
    :raises DatasetError: if it cannot be read.
    """
    try:
        return png_bytes.stored_values(path.read_bytes(), palette=palette)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
