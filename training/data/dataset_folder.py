# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The data set folder: the one format the loops read (see README, "Your own data").

image/*.jpg|png, depth/*.png, label/*.png, {train,val,test}.txt of stems, dataset.yaml; for
instances also instance/*.png (uint16, 0 = none), with ``things``, the classes that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
import shlex

from emu_perception.dataset_fields import checked_root, DatasetError, IGNORE, read_fields
from emu_perception.errors import text_of
from emu_perception.foreign_files import names_in, one_spelling, read_text
from emu_perception.yaml_documents import load_yaml
import numpy as np
import yaml

from .class_names import classes_apart
from .image_maps import FilesByStem, IMAGE_SUFFIXES, read_image, read_map


@dataclass(frozen=True)
class Example:
    """
    One image with its truth.

    :ivar image: uint8 [H, W, 3], rgb.
    :ivar label: uint8 [H, W], 255 = unlabelled; None where the folder has none.
    :ivar depth: float32 [H, W], metres, 0 = invalid; None where the folder has none. Of a folder
        of disparities whose baseline is not known: pixels.
    :ivar inverse: float32 [H, W], inverse depth: 1/m, or disparity in pixels of this image; 0 =
        infinitely far (sky), negative = unknown. None where it was not asked for.
    :ivar instance: uint16 [H, W], 0 = none; None where it was not asked for.
    """

    stem: str
    image: np.ndarray
    label: np.ndarray | None
    depth: np.ndarray | None
    inverse: np.ndarray | None = None
    instance: np.ndarray | None = None


SPLITS = ('train', 'val', 'test')
KINDS = ('image', 'label', 'depth', 'instance')


class DatasetFolder:
    """
    A data set folder, its description read and checked.

    :raises DatasetError: if the folder or its dataset.yaml cannot be used.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = checked_root(root)
        self._file = self.root / 'dataset.yaml'
        self._readable: frozenset[str] | None = None
        self._files = {kind: FilesByStem(self.root / kind, IMAGE_SUFFIXES if kind == 'image'
                                         else ('.png',)) for kind in KINDS}
        try:
            document = load_yaml(read_text(self._file))
        except OSError as error:
            raise DatasetError(f'{self._file}: cannot be read ({error.strerror}); a data set '
                               'folder has one') from error
        except yaml.YAMLError as error:
            raise DatasetError(f'{self._file}: not YAML: {text_of(error)}') from error
        if not isinstance(document, dict):
            raise DatasetError(f'{self._file}: a mapping of fields is expected')
        fields = read_fields(document, self._file)
        self.name = fields.name or self.root.name
        self.classes, self.palette = fields.classes, fields.palette
        self.ignore_index = fields.ignore_index
        self.depth, self.depth_unit = fields.depth, fields.depth_unit
        self.intrinsics, self.baseline_m = fields.intrinsics, fields.baseline_m
        self.things, self.sky = fields.things, fields.sky
        self.source, self.licence = fields.source, fields.licence

    @property
    def inverse_factor(self) -> float | None:
        """
        Return the product of depth in metres and inverse depth: 1, or fx · baseline in px · m.

        The pixels are those of ``intrinsics``: an image of another width has its own.

        None where that is not known: disparities without the camera.
        """
        if self.depth is None or self.depth.quantity == 'depth':
            return 1.0
        if self.intrinsics is None or self.baseline_m is None:
            return None
        return self.intrinsics.fx * self.baseline_m

    @property
    def depth_range(self) -> tuple[float, float]:
        """Return the smallest and the largest depth that the maps can hold, metres."""
        if self.depth is None:
            return 0.0, math.inf
        if self.depth.quantity == 'depth':
            return self.depth.min, self.depth.max
        factor = self.inverse_factor or 0.0
        return factor / self.depth.max, factor / self.depth.min if self.depth.min else math.inf

    def stems(self, split: str) -> list[str]:
        """
        Return the stems of a split, in the file's order.

        :raises DatasetError: if there is no such split, or it is empty.
        """
        path = self.root / f'{split}.txt'
        try:
            stems = [one_spelling(name) for name in names_in(
                path.read_bytes(), lambda stem: self._files['image'].find(stem) is not None)]
        except OSError as error:
            raise DatasetError(f'{path}: cannot be read ({error.strerror}); it lists the stems '
                               f"of split '{split}'") from error
        if not stems:
            raise DatasetError(f'{path}: is empty')
        return stems

    def restrict(self, splits: Sequence[str]) -> None:
        """
        From now on refuse to read any file whose stem is in none of these splits.

        What measures a network later must not have been seen while it was made.

        :raises DatasetError: if one of them is in another split too.
        """
        self._readable = frozenset(stem for split in splits for stem in self.stems(split))
        for other in {*SPLITS} - {*splits}:
            if not (self.root / f'{other}.txt').exists():
                continue
            both = sorted(self._readable.intersection(self.stems(other)))
            if both:
                raise DatasetError(f"{self.root}/{other}.txt: '{both[0]}' is in "
                                   f"{' or '.join(f'{split}.txt' for split in splits)} too: what "
                                   'is trained on cannot measure')

    def _check_readable(self, stem: str) -> None:
        if self._readable is not None and stem not in self._readable:
            raise DatasetError(f"{self.root}: '{stem}' is kept apart: it is in none of the splits "
                               'that this run may read')

    def check_files(self, splits: Sequence[str]) -> None:
        """
        Check that every stem of some splits has an image; quick, it reads none.

        ``training.prepare check`` reads all and says more.

        :raises DatasetError: if an image is missing, or a training stem is in another split too.
        """
        have = self.file_stems('image')
        seen: dict[str, str] = {}
        for split in splits:
            stems = self.stems(split)
            missing = [stem for stem in stems if stem not in have]
            if missing and Path(missing[0]).stem in have:
                raise DatasetError(f"{self.root}/{split}.txt: names '{missing[0]}': give stems, "
                                   f"as '{Path(missing[0]).stem}', a line each")
            if missing:
                raise DatasetError(
                    f'{self.root}/image: {len(missing)} of {len(stems)} images of {split}.txt are '
                    f"missing, '{missing[0]}' first: emu prepare check "
                    f'{shlex.quote(str(self.root))} lists them')
            for stem in stems:
                if stem in seen and seen[stem] != split:
                    raise DatasetError(f"{self.root}/{split}.txt: '{stem}' is in {seen[stem]}.txt "
                                       'too: what is trained on cannot measure')
                seen[stem] = split

    def check_classes(self, classes: tuple[str, ...], network: object) -> None:
        """
        Check that labels mean what a network means by them, where both have any.

        :param classes: of the network, whose file is named in the error.
        :raises DatasetError: if they do not.
        """
        if classes and self.classes and classes != self.classes:
            raise DatasetError(f'{self._file}: its {len(self.classes)} classes are not the '
                               f'{len(classes)} of {network}: '
                               f'{classes_apart(self.classes, classes)}')

    def example(self, stem: str, *, inverse: bool = False, instance: bool = False) -> Example:
        """
        Read one image with its truth.

        :param inverse: the inverse depth too.
        :param instance: the instance ids too.
        :raises DatasetError: if a file is missing, unreadable or of another size.
        """
        image = self.image(stem)
        label, depth = self.label(stem, image.shape[:2]), None
        raw = None if self.depth is None else self._map('depth', stem, image.shape[:2])
        if raw is not None:
            depth = self.metres(raw)
        far = self._inverse(raw, label, image.shape[:2]) if inverse else None
        if depth is not None and self.depth is not None and self.depth.quantity == 'disparity' \
                and self.inverse_factor is not None:
            assert self.intrinsics is not None  # Its disparities are in pixels of this image.
            factor = self.inverse_factor * (image.shape[1] / self.intrinsics.width)
            depth = np.divide(np.float32(factor), depth, where=depth > 0,
                              out=np.zeros_like(depth))
        ids = self._map('instance', stem, image.shape[:2]) if instance else None
        if instance and ids is None:
            ids = np.zeros(image.shape[:2], np.uint16)
        return Example(stem, image, label, depth, far,
                       None if ids is None else ids.astype(np.uint16))

    def label(self, stem: str, size: tuple[int, ...] | None = None) -> np.ndarray | None:
        """
        Read one label map as uint8 [H, W], 255 = unlabelled; None where there is none.

        :param size: (height, width) of its image; None = not checked.
        :raises DatasetError: if it is unreadable, of another size or holds an unknown class.
        """
        label = self._map('label', stem, size) if self.classes else None
        if label is None:
            return None
        wrong = (label >= len(self.classes)) & (label != self.ignore_index)
        if wrong.any():
            raise DatasetError(f'{self.root}/label/{stem}.png: holds class '
                               f'{int(label[wrong][0])}, dataset.yaml names '
                               f'{len(self.classes)} classes')
        return np.where(label == self.ignore_index, IGNORE, label).astype(np.uint8)

    def image(self, stem: str) -> np.ndarray:
        """
        Read one image as rgb uint8 [H, W, 3].

        :raises DatasetError: if it is missing or unreadable.
        """
        return read_image(self.image_path(stem))

    def image_path(self, stem: str) -> Path:
        """
        Return the file of an image.

        :raises DatasetError: if it is missing.
        """
        self._check_readable(stem)
        path = self._files['image'].find(stem)
        if path is None:
            own = Path(stem).stem
            raise DatasetError(f'{self.root}/image/{stem}.jpg: missing (nor .png)' + (
                f"; splits name stems, as '{own}'" if self._files['image'].find(own) else ''))
        return path

    def files(self, kind: str) -> list[Path]:
        """Return the files of a folder ('image', 'label', ...), whether a split names them."""
        return self._files[kind].listed()

    def file_stems(self, kind: str) -> set[str]:
        """Return the stems of ``files``, spelled as those of splits are."""
        return {one_spelling(path.stem) for path in self.files(kind)}

    def map_path(self, kind: str, stem: str) -> Path | None:
        """Return the file of a map; None if there is none."""
        self._check_readable(stem)
        return self._files[kind].find(stem)

    def metres(self, raw: np.ndarray) -> np.ndarray:
        """Decode a stored depth map to float32, in metres or pixels of disparity, 0 = invalid."""
        assert self.depth is not None
        return self.depth.decoded(raw)

    def _inverse(self, raw: np.ndarray | None, label: np.ndarray | None,
                 size: tuple[int, ...]) -> np.ndarray:
        """Decode a stored map to inverse depth, 0 = infinitely far, -1 = unknown."""
        if raw is None or self.depth is None:
            inverse = np.full(size, -1.0)
        elif self.depth.quantity == 'disparity':
            # Pixels from 0 on: at 0 lies what is infinitely far, which `metres` cannot say.
            pixels = raw.astype(np.float32) * self.depth.scale + self.depth.offset
            known = ~np.isin(raw, self.depth.invalid) & (pixels < self.depth.max)
            inverse = np.where(known, pixels.clip(min=0.0), -1.0)
        else:
            metres = self.metres(raw)
            inverse = np.divide(1.0, metres, where=metres > 0,
                                out=np.full(size, -1.0, np.float32))
        if self.sky is not None and label is not None:
            inverse = np.where(label == self.sky, 0.0, inverse)
        return inverse.astype(np.float32)

    def _map(self, kind: str, stem: str,
             size: tuple[int, ...] | None) -> np.ndarray | None:
        path = self.map_path(kind, stem)
        if path is None:
            return None
        values = read_map(path, palette=kind != 'depth')
        if values is None:
            raise DatasetError(f'{path}: not a readable single-channel PNG')
        if size is not None and values.shape != tuple(size):
            raise DatasetError(f'{path}: is {values.shape[1]}x{values.shape[0]}, its image is '
                               f'{size[1]}x{size[0]}')
        return values


def training_fx(folder: DatasetFolder, image: np.ndarray) -> float | None:
    """
    Return the focal length of one of the folder's images in its own pixels; None if not known.

    Images of several sizes are the camera's at several resolutions: it is the field of view that
    they have in common.

    :param image: [H, W, ...].
    """
    camera = folder.intrinsics
    return None if camera is None else camera.fx * (image.shape[1] / camera.width)


def training_focal(folder: DatasetFolder) -> float | None:
    """Return the focal length of the folder's images in units of their width, or None."""
    return folder.intrinsics.fx / folder.intrinsics.width if folder.intrinsics else None
