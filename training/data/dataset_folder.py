# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The data set folder: the one format the loops read (see README, "Your own data").

image/*.jpg|png, depth/*.png, label/*.png, {train,val,test}.txt of stems, dataset.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from emu_perception.checkpoint import Intrinsics
from emu_perception.errors import EmuError

IGNORE = 255


class DatasetError(EmuError):
    """A data set folder that cannot be used; the message names file, field and value."""


@dataclass(frozen=True)
class DepthEncoding:
    """
    metres = value · scale + offset, for values not in ``invalid`` that end in (min, max).

    :ivar quantity: 'depth', or 'disparity', whose values are pixels and not metres.
    """

    scale: float
    offset: float
    invalid: tuple[int, ...]
    min: float
    max: float
    quantity: str = 'depth'


@dataclass(frozen=True)
class Sample:
    """
    One image with its truth.

    :ivar image: uint8 [H, W, 3], rgb.
    :ivar label: uint8 [H, W], 255 = unlabelled; None where the folder has none.
    :ivar depth: float32 [H, W], metres, 0 = invalid; None where the folder has none.
    """

    stem: str
    image: np.ndarray
    label: np.ndarray | None
    depth: np.ndarray | None


class DatasetFolder:
    """
    A data set folder, its description read and checked.

    :raises DatasetError: if the folder or its dataset.yaml cannot be used.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._file = self.root / 'dataset.yaml'
        if not self.root.is_dir():
            raise DatasetError(f'{self.root}: no such data set folder')
        try:
            document = yaml.safe_load(self._file.read_text())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'not text'
            raise DatasetError(f'{self._file}: cannot be read ({reason}); a data set folder has '
                               'one') from error
        except yaml.YAMLError as error:
            reason = ' '.join(str(error).split())
            raise DatasetError(f'{self._file}: not YAML: {reason}') from error
        if not isinstance(document, dict):
            raise DatasetError(f'{self._file}: a mapping of fields is expected')
        self.name = str(document.get('name', self.root.name))
        classes = document.get('classes') or ()
        if not isinstance(classes, (list, tuple)):
            raise self._wrong('classes', f'is {classes!r}: give a list of names')
        self.classes = tuple(str(name) for name in classes)
        if len(self.classes) > IGNORE:
            raise self._wrong('classes', f'has {len(self.classes)} names, at most 255 fit')
        palette = document.get('palette')
        if palette and not isinstance(palette, (list, tuple)):
            raise self._wrong('palette', f'is {palette!r}: give a list of colours')
        if palette and len(palette) != len(self.classes):
            raise self._wrong('palette', f'has {len(palette)} colours for {len(self.classes)} '
                              'classes')
        if palette and not all(isinstance(rgb, (list, tuple)) and len(rgb) == 3 and all(
                isinstance(c, int) and 0 <= c <= 255 for c in rgb) for rgb in palette):
            raise self._wrong('palette', 'is no list of [red, green, blue] of 0..255')
        self.palette = tuple(tuple(rgb) for rgb in palette) if palette else None
        self.ignore_index = document.get('ignore_index', IGNORE)
        if not isinstance(self.ignore_index, int):
            raise self._wrong('ignore_index', f'is {self.ignore_index!r}: give a number')
        self.depth = self._depth(document.get('depth'))
        self.intrinsics = self._intrinsics(document.get('intrinsics'))

    def stems(self, split: str) -> list[str]:
        """
        Return the stems of a split, in the file's order.

        :raises DatasetError: if there is no such split, or it is empty.
        """
        path = self.root / f'{split}.txt'
        try:
            stems = path.read_text().split()
        except OSError as error:
            raise DatasetError(f'{path}: cannot be read ({error.strerror}); it lists the stems '
                               f"of split '{split}'") from error
        if not stems:
            raise DatasetError(f'{path}: is empty')
        return stems

    def check_files(self, splits: Sequence[str]) -> None:
        """
        Check that every stem of some splits has an image; quick, it reads none.

        ``training.prepare check`` reads all and says more.

        :raises DatasetError: if an image is missing, or a training stem is in another split too.
        """
        have = {path.stem for path in (self.root / 'image').glob('*')
                if path.suffix in ('.jpg', '.png', '.jpeg')}
        seen: dict[str, str] = {}
        for split in splits:
            stems = self.stems(split)
            missing = [stem for stem in stems if stem not in have]
            if missing:
                raise DatasetError(
                    f'{self.root}/image: {len(missing)} of {len(stems)} images of {split}.txt are '
                    f"missing, '{missing[0]}' first: python -m training.prepare check {self.root}")
            for stem in stems:
                if stem in seen and seen[stem] != split:
                    raise DatasetError(f"{self.root}/{split}.txt: '{stem}' is in {seen[stem]}.txt "
                                       'too: what is trained on cannot measure')
                seen[stem] = split

    def sample(self, stem: str) -> Sample:
        """
        Read one image with its truth.

        :raises DatasetError: if a file is missing, unreadable or of another size.
        """
        image = self.image(stem)
        label = depth = None
        if self.classes:
            label = self._map('label', stem, image.shape[:2])
        if label is not None:
            wrong = (label >= len(self.classes)) & (label != self.ignore_index)
            if wrong.any():
                raise DatasetError(f'{self.root}/label/{stem}.png: holds class '
                                   f'{int(label[wrong][0])}, dataset.yaml names '
                                   f'{len(self.classes)} classes')
            label = np.where(label == self.ignore_index, IGNORE, label).astype(np.uint8)
        if self.depth is not None:
            raw = self._map('depth', stem, image.shape[:2])
            depth = None if raw is None else self.metres(raw)
        return Sample(stem, image, label, depth)

    def image(self, stem: str) -> np.ndarray:
        """
        Read one image as rgb uint8 [H, W, 3].

        :raises DatasetError: if it is missing or unreadable.
        """
        for suffix in ('.jpg', '.png', '.jpeg'):
            path = self.root / 'image' / f'{stem}{suffix}'
            if path.exists():
                image = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if image is None:
                    raise DatasetError(f'{path}: not a readable image')
                return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        raise DatasetError(f'{self.root}/image/{stem}.jpg: missing (nor .png)')

    def metres(self, raw: np.ndarray) -> np.ndarray:
        """Decode a stored depth map to float32 metres, 0 where it is invalid."""
        assert self.depth is not None
        metres = raw.astype(np.float32) * self.depth.scale + self.depth.offset
        valid = (metres > self.depth.min) & (metres < self.depth.max)
        if self.depth.invalid:
            valid &= ~np.isin(raw, self.depth.invalid)
        return np.where(valid, metres, 0.0).astype(np.float32)

    def _map(self, kind: str, stem: str, size: tuple[int, ...]) -> np.ndarray | None:
        path = self.root / kind / f'{stem}.png'
        if not path.exists():
            return None
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 2:
            raise DatasetError(f'{path}: not a readable single-channel PNG')
        if values.shape != tuple(size):
            raise DatasetError(f'{path}: is {values.shape[1]}x{values.shape[0]}, its image is '
                               f'{size[1]}x{size[0]}')
        return values

    def _wrong(self, name: str, problem: str) -> DatasetError:
        return DatasetError(f"{self._file}: field '{name}' {problem}")

    def _depth(self, values: Any) -> DepthEncoding | None:
        if values is None:
            return None
        try:
            encoding = DepthEncoding(
                float(values['scale']), float(values.get('offset', 0.0)),
                tuple(int(value) for value in values.get('invalid') or ()),
                float(values.get('min', 0.0)), float(values.get('max', math.inf)),
                str(values.get('quantity', 'depth')))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise self._wrong('depth', f'is {values}: give scale, offset, invalid, min and max '
                              f'({error})') from error
        if not 0 <= encoding.min < encoding.max or encoding.scale == 0:
            raise self._wrong('depth', f'is {values}: min must be below max and scale not 0')
        if encoding.quantity not in ('depth', 'disparity'):
            raise self._wrong('depth.quantity', f"is '{encoding.quantity}': give depth or "
                              'disparity')
        return encoding

    def _intrinsics(self, values: Any) -> Intrinsics | None:
        if values is None:
            return None
        try:
            camera = Intrinsics(int(values['width']), int(values['height']), *(
                float(values[name]) for name in ('fx', 'fy', 'cx', 'cy')))
            if min(camera.width, camera.height, camera.fx, camera.fy) <= 0:
                raise ValueError('sizes and focal lengths are above 0')
            return camera
        except (TypeError, ValueError, KeyError) as error:
            raise self._wrong('intrinsics', f'is {values}: give width, height, fx, fy, cx, cy '
                              f'({error})') from error
