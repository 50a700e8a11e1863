# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is true of the images of a data set folder, for ``emu_run`` to show beside its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

import cv2
from emu_perception.cameras import png_bytes
from emu_perception.cameras.calibration_files import read_mapping
from emu_perception.dataset_fields import read_fields
from emu_perception.prediction import UNLABELLED
import numpy as np

LOGGER = logging.getLogger('emu_perception')


@dataclass(frozen=True)
class Truth:
    """
    Of one image; None: its folder has no such file.

    :ivar label: uint8 HxW, 255 unlabelled.
    :ivar depth: float32 HxW metres, NaN unknown.
    """

    label: np.ndarray | None
    depth: np.ndarray | None

    def at(self, size: tuple[int, int]) -> Truth:
        """Return it at a size (height, width), the nearest pixels taken."""
        def sized(values: np.ndarray | None) -> np.ndarray | None:
            if values is None or values.shape == size:
                return values
            return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST)
        return Truth(sized(self.label), sized(self.depth))


class TruthFolder:
    """
    ``label/`` and ``depth/`` of a data set folder, read as its dataset.yaml says.

    :param classes: of the network: labels of another list of classes are not compared, which is
        said.
    :raises InputError: if what dataset.yaml says of them cannot be used.
    """

    def __init__(self, root: Path, document: Mapping[str, Any], classes: tuple[str, ...]) -> None:
        self._root, self._said = root, False
        file = root / 'dataset.yaml'
        fields = read_fields(document, file)
        self._labels = (bool(classes) and fields.classes == classes
                        and (root / 'label').is_dir())
        if fields.classes and classes and fields.classes != classes and (root / 'label').is_dir():
            LOGGER.warning('%s: its classes are not those of the checkpoint: labels are not '
                           'compared', file)
        self._ignore = fields.ignore_index
        metres = fields.depth is not None and fields.depth.quantity == 'depth'
        self._metres = fields.depth if metres and (root / 'depth').is_dir() else None

    @classmethod
    def beside(cls, source: Path, classes: tuple[str, ...]) -> TruthFolder | None:
        """
        Return that of a data set's root, or of its image/; None where the path is neither.

        :raises InputError: if its dataset.yaml cannot be used.
        """
        root = source.parent if source.name == 'image' else source
        file = root / 'dataset.yaml'
        if not (file.is_file() and any((root / kind).is_dir() for kind in ('label', 'depth'))):
            return None
        return cls(root, read_mapping(file), classes)

    def of(self, name: str, size: tuple[int, int] | None = None, apart: str = '') -> Truth:
        """
        Return what there is of an image; a map that is damaged or of another size is said once.

        :param name: of its file.
        :param size: (height, width) of it; None = not checked.
        :param apart: why its maps are not of it, as it was read; '' where they are.
        """
        if apart:
            self._say_once(apart)
            return Truth(None, None)
        stem = f'{Path(name).stem}.png'
        label = self._read(self._root / 'label' / stem, size) if self._labels else None
        stored = self._read(self._root / 'depth' / stem, size) if self._metres else None
        if label is not None:
            # A class beyond 255 is none that a network of 255 has.
            label = np.where((label == self._ignore) | (label > UNLABELLED), UNLABELLED, label)
        return Truth(None if label is None else label.astype(np.uint8), self._depth(stored))

    def _depth(self, stored: np.ndarray | None) -> np.ndarray | None:
        if stored is None or self._metres is None:
            return None
        metres = self._metres.decoded(stored)
        return np.where(metres > 0, metres, np.float32(np.nan))

    def _read(self, path: Path, size: tuple[int, int] | None) -> np.ndarray | None:
        try:
            values = png_bytes.stored_values(path.read_bytes(),
                                             palette=path.parent.name == 'label')
        except FileNotFoundError:
            return None  # A split may be without.
        except OSError as error:
            values, why = None, f'cannot be read ({error.strerror})'
        else:
            why = 'cannot be read (no PNG of one channel, or damaged)'
        if values is not None and size is not None and values.shape != size:
            why = f'is {values.shape[1]}x{values.shape[0]}, its image {size[1]}x{size[0]}'
            values = None
        if values is None:
            self._say_once(f'{path}: {why}')
        return values

    def _say_once(self, why: str) -> None:
        if not self._said:
            self._said = True
            LOGGER.warning('%s: not compared', why)
