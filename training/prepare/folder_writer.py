# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a data set folder: maps first, then the splits, and dataset.yaml last."""

from __future__ import annotations

from dataclasses import asdict
import logging
from pathlib import Path
import shlex
from typing import Any

import cv2
from emu_perception.checkpoint import Intrinsics
from emu_perception.commands.output_file import check_folder
from emu_perception.commands.program import program
from emu_perception.dataset_fields import DatasetError, DepthEncoding, IGNORE
from emu_perception.errors import InputError
from emu_perception.foreign_files import holds_anything
from emu_perception.whole_files import write_whole
import numpy as np
import yaml

from ..arguments.datasets.output import IMAGE_FORMATS, JPEG_QUALITY

LOGGER = logging.getLogger('training')
SPLITS = ('train', 'val', 'test')
_UINT16_MAX = 65535


def metric_encoding(min_m: float, max_m: float) -> DepthEncoding:
    """
    Choose how metres become uint16: 1 mm steps up to 65.5 m, 2 mm steps up to 131 m; 0 is invalid.

    Steps of 2 mm are a tenth of what an eighth of a pixel of disparity is worth at 10 m in
    Cityscapes (26 mm): nothing that a stereo camera can measure is lost.

    :raises InputError: if min and max are not a range, or it does not fit.
    """
    if not 0 <= min_m < max_m:
        raise InputError(f'--max-depth is {max_m:g}: the depth range {min_m:g}..{max_m:g} m has '
                         'to begin at 0 or above, and end beyond')
    for scale in (0.001, 0.002):
        if max_m <= scale * _UINT16_MAX:
            return DepthEncoding(scale, 0.0, (0,), min_m, max_m)
    raise InputError(f'--max-depth is {max_m:g}: at most 131 m fit into 16 bits in steps of 2 mm')


def encode_metres(metres: np.ndarray, encoding: DepthEncoding) -> np.ndarray:
    """Return depth as stored, uint16 [H, W]; 0 where not finite or not inside (min, max)."""
    with np.errstate(invalid='ignore'):
        valid = np.isfinite(metres) & (metres > encoding.min) & (metres < encoding.max)
    return np.round(np.where(valid, metres, 0.0) / encoding.scale).astype(np.uint16)


class FolderWriter:
    """
    One folder being written.

    Made before the work, it only looks: what fails before the first file leaves all as it is.

    :param force: take a folder that is not empty. Nothing in it is removed but the dataset.yaml of
        before (hand-made labels are worth more than tidiness); `check` lists what is left over.
    :raises InputError: if there is no folder, it is not empty, or cannot be written.
    """

    def __init__(self, root: Path, *, image_format: str = 'png', force: bool = False) -> None:
        if image_format not in IMAGE_FORMATS:
            raise InputError(f"--image-format is '{image_format}': give one of "
                             f'{", ".join(IMAGE_FORMATS)}')
        self.root, self._image_format, self._begun = root, image_format, False
        if (root.exists() or root.is_symlink()) and not root.is_dir():
            raise DatasetError(f'{root}: is no folder; give another --out')
        try:
            if root.exists() and not force and holds_anything(root):
                raise DatasetError(f'{root}: is not empty; give another --out, or --force to '
                                   'write into it')
        except OSError as error:
            raise DatasetError(f'{root}: cannot be read ({error.strerror})') from error
        check_folder(root.absolute(), str(root))

    def _begin(self) -> None:
        """Make the folder; from now on it is not whole, and no dataset.yaml says so."""
        if self._begun:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / 'dataset.yaml').unlink(missing_ok=True)
        except OSError as error:
            raise DatasetError(f'{self.root}: cannot be written ({error.strerror})') from error
        self._begun = True

    def image(self, stem: str, rgb: np.ndarray) -> None:
        """Write an image, uint8 [H, W, 3]."""
        self._begin()
        for other in {'jpg', 'jpeg', 'png'} - {self._image_format}:
            # An image of before, of another format, would be read instead.
            (self.root / 'image' / f'{stem}.{other}').unlink(missing_ok=True)
        self._write('image', stem, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), self._image_format)

    def label(self, stem: str, label: np.ndarray) -> None:
        """Write class indices, uint8 [H, W], 255 = unlabelled."""
        self._write('label', stem, label.astype(np.uint8, casting='safe'))

    def depth(self, stem: str, stored: np.ndarray) -> None:
        """Write depth as it is stored, uint16 [H, W] (see :func:`encode_metres`)."""
        self._write('depth', stem, stored.astype(np.uint16, casting='safe'))

    def instance(self, stem: str, instance: np.ndarray) -> None:
        """Write instance ids, uint16 [H, W], 0 = none."""
        self._write('instance', stem, instance.astype(np.uint16, casting='safe'))

    def finish(self, splits: dict[str, list[str]], *, name: str, source: str,
               classes: tuple[str, ...] = (), palette: tuple[tuple[int, ...], ...] = (),
               depth: DepthEncoding | None = None, depth_notes: dict[str, Any] | None = None,
               intrinsics: Intrinsics | None = None, baseline_m: float | None = None,
               things: tuple[str, ...] = ()) -> None:
        """
        Write the splits that are not empty, then dataset.yaml.

        :param source: what the folder was made from, for people.
        :param depth_notes: further fields of the section ``depth``, such as its unit.
        :param baseline_m: of the stereo camera with these intrinsics.
        :param things: the classes that instance ids are of.
        """
        self._begin()
        document: dict[str, Any] = {'name': name, 'source': source}
        if classes:
            document.update(classes=list(classes), ignore_index=IGNORE)
        if things:
            document['things'] = list(things)
        if palette:
            document['palette'] = [list(rgb) for rgb in palette]
        if depth is not None:
            values = {**asdict(depth), 'invalid': list(depth.invalid)}
            document['depth'] = {**values, **(depth_notes or {'unit': 'm'})}
        if intrinsics is not None:
            document['intrinsics'] = asdict(intrinsics)
            if baseline_m is not None:
                document['intrinsics']['baseline'] = baseline_m
        try:
            for split in SPLITS:
                path = self.root / f'{split}.txt'
                path.unlink(missing_ok=True)
                if splits.get(split):
                    write_whole(path, '\n'.join(splits[split]) + '\n')
            write_whole(self.root / 'dataset.yaml', yaml.safe_dump(
                document, sort_keys=False, default_flow_style=None, width=99))
        except OSError as error:
            raise DatasetError(f'{self.root}: cannot be written ({error.strerror})') from error
        counts = ', '.join(f'{split} {len(splits[split])}' for split in SPLITS
                           if splits.get(split))
        LOGGER.info('wrote %s: %s images; look it over: %s check %s', self.root, counts,
                    program('python -m training.prepare'), shlex.quote(str(self.root)))

    def _write(self, kind: str, stem: str, pixels: np.ndarray, suffix: str = 'png') -> None:
        self._begin()
        path = self.root / kind / f'{stem}.{suffix}'
        # Not cv2.imwrite: on a full disk it leaves half a file and says nothing.
        _, data = cv2.imencode(f'.{suffix}', pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                               if suffix == 'jpg' else [])
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise DatasetError(f'{path}: cannot be written ({error.strerror})') from error
