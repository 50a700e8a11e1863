# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a data set folder, found before a training does; and what is in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.image_decoding import decoded, lacks_end
from emu_perception.cameras.judgement import judge
from emu_perception.errors import InputError
from emu_perception.foreign_files import one_spelling
import numpy as np
from rich.progress import track

from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.depth_units import depth_doubt
from ..data.image_maps import read_map
from ..data.unknown_camera import NO_METRES
from .instance_problems import about_things, instances_on_stuff
from .problem import Problem

NEEDED_SPLITS = ('train', 'val')
SPLITS = (*NEEDED_SPLITS, 'test')


@dataclass
class SplitStatistics:
    """
    Counts over the readable maps of one split.

    :ivar class_pixels: int64 [K], pixels of each class; ``class_images`` images that show it.
    :ivar unlabelled_pixels: pixels of label maps without a class.
    :ivar raw_depth: int64 [65536], how often each stored depth value occurs.
    :ivar instances: how many objects all instance maps together hold.
    """

    class_pixels: np.ndarray
    class_images: np.ndarray
    raw_depth: np.ndarray = field(default_factory=lambda: np.zeros(1 << 16, np.int64))
    images: int = 0
    label_maps: int = 0
    depth_maps: int = 0
    instance_maps: int = 0
    instances: int = 0
    unlabelled_pixels: int = 0


def inspect(folder: DatasetFolder, *, progress: bool = False
            ) -> tuple[list[Problem], dict[str, SplitStatistics]]:
    """
    Read every file that a split names.

    :return: all that is wrong, in the order of the files, and each split's statistics.
    """
    found: list[Problem] = []
    splits: dict[str, list[str]] = {}
    for split in SPLITS:
        path = folder.root / f'{split}.txt'
        try:
            splits[split] = folder.stems(split)
        except DatasetError as error:
            if split in NEEDED_SPLITS or path.exists():
                found.append(_from_error(error, path))
    found += (_about_classes(folder) + _about_intrinsics(folder) + about_things(folder)
              + _about_stems(folder, splits))
    statistics = {}
    for split, stems in splits.items():
        count = len(folder.classes)
        values = SplitStatistics(np.zeros(count, np.int64), np.zeros(count, np.int64))
        for stem in track(dict.fromkeys(stems), split, disable=not progress):
            found += _about_sample(folder, stem, values)
        found += _about_split(folder, split, values)
        statistics[split] = values
    return found, statistics


def _about_classes(folder: DatasetFolder) -> list[Problem]:
    path = folder.root / 'dataset.yaml'
    has_labels = (folder.root / 'label').is_dir()
    if folder.classes:
        return []
    if has_labels:
        return [Problem(path, "field 'classes' is missing, though there is a folder label/")]
    if folder.depth is None:
        return [Problem(path, "has neither 'classes' nor 'depth': there is nothing to learn")]
    return [Problem(path, "field 'classes' is missing: only depth can be learned", note=True)]


def _about_intrinsics(folder: DatasetFolder) -> list[Problem]:
    camera, path = folder.intrinsics, folder.root / 'dataset.yaml'
    if camera is None:
        return [Problem(path, NO_METRES, note=True)] if folder.depth is not None else []
    info = pinhole_info(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
    judgement = judge(info, camera.width, camera.height, rectified=True,
                      what="field 'intrinsics'")
    if judgement.problem is not None:
        return [Problem(path, judgement.problem.text)]
    return [Problem(path, warning.text, note=True) for warning in judgement.warnings]


def _about_stems(folder: DatasetFolder, splits: dict[str, list[str]]) -> list[Problem]:
    found = []
    split_of: dict[str, str] = {}
    for split, stems in splits.items():
        path = folder.root / f'{split}.txt'
        seen: set[str] = set()
        for stem in stems:
            if stem in seen:
                found.append(Problem(path, f"names '{stem}' twice"))
            elif stem in split_of:
                found.append(Problem(path, f"names '{stem}', which {split_of[stem]}.txt has too"))
            seen.add(stem)
            split_of.setdefault(stem, split)
    images = folder.files('image')
    unnamed = [path for path in images if one_spelling(path.stem) not in split_of]
    if unnamed:
        found.append(Problem(folder.root / 'image', f'{len(unnamed)} of {len(images)} images are '
                             f"named by no split, '{unnamed[0].name}' first", note=True))
    by_stem = Counter(one_spelling(path.stem) for path in images)
    twice = [path.name for path in images if by_stem[one_spelling(path.stem)] > 1]
    if twice:
        found.append(Problem(folder.root / 'image', f'{len(twice)} images share their stems, '
                             f"'{twice[0]}' and '{twice[1]}' first: one of each is read, remove "
                             'the others'))
    return found


def _about_sample(folder: DatasetFolder, stem: str, values: SplitStatistics) -> list[Problem]:
    try:
        file = folder.image_path(stem)
        size = folder.image(stem).shape[:2]
        found = [Problem(file, 'has no end marker, but all of its picture: it is used',
                         note=True)] if lacks_end(file.read_bytes()) else []
    except DatasetError as error:
        return [_from_error(error, folder.root / 'image' / stem)]
    values.images += 1
    if folder.intrinsics is not None:
        width, height = folder.intrinsics.width, folder.intrinsics.height
        if width * size[0] != height * size[1]:
            found.append(Problem(folder.root / 'image' / stem, f'is {size[1]}x{size[0]}, '
                                 f"'intrinsics' in dataset.yaml are of {width}x{height}"))
    for kind, asked, about in (('label', folder.classes, _about_labels),
                               ('depth', folder.depth, _about_depth),
                               ('instance', folder.things, _about_instances)):
        path = folder.map_path(kind, stem)
        if not asked or path is None:
            continue
        try:
            pixels = read_map(path, palette=kind != 'depth')
            text = _unusable(path, pixels, size)
            if text is None and pixels is not None:
                text = about(folder, stem, pixels, values)
        except DatasetError as error:  # One file that cannot be read hides no other's faults.
            found.append(_from_error(error, path))
            continue
        if text is not None:
            found.append(Problem(path, text))
    return found


def _unusable(path: Path, pixels: np.ndarray | None, size: tuple[int, ...]) -> str | None:
    if pixels is None:
        try:  # What it is instead, if it is any picture at all.
            other = decoded(path.read_bytes(), cv2.IMREAD_UNCHANGED, 'it')
        except InputError:
            return 'not a readable PNG'
        return f'is {other.dtype} {other.shape}, one channel of 1 to 16 bits is needed'
    if pixels.shape != size:
        return f'is {pixels.shape[1]}x{pixels.shape[0]}, its image is {size[1]}x{size[0]}'
    return None


def _about_labels(folder: DatasetFolder, stem: str, pixels: np.ndarray,
                  values: SplitStatistics) -> str | None:
    counts = np.bincount(pixels.ravel(), minlength=1 << 8)
    values.label_maps += 1
    if 0 <= folder.ignore_index < len(counts):
        values.unlabelled_pixels += int(counts[folder.ignore_index])
        counts[folder.ignore_index] = 0
    known = counts[:len(folder.classes)]
    values.class_pixels += known
    values.class_images += known > 0
    outside = np.flatnonzero(counts[len(folder.classes):]) + len(folder.classes)
    if len(outside):
        share = counts[len(folder.classes):].sum() / pixels.size
        return (f'holds class {", ".join(map(str, outside[:5]))} in {share:.1%} of its pixels, '
                f'dataset.yaml names {len(folder.classes)} classes')
    return 'is unlabelled everywhere' if not known.any() else None


def _about_depth(folder: DatasetFolder, stem: str, pixels: np.ndarray,
                 values: SplitStatistics) -> str | None:
    values.depth_maps += 1
    values.raw_depth += np.bincount(pixels.ravel(), minlength=1 << 16)
    if folder.metres(pixels).any():
        return None
    return f'has no valid depth (stored values {pixels.min()}..{pixels.max()})'


def _about_instances(folder: DatasetFolder, stem: str, ids: np.ndarray,
                     values: SplitStatistics) -> str | None:
    values.instance_maps += 1
    values.instances += len(np.unique(ids[ids > 0]))
    labels = folder.map_path('label', stem)
    label = None if labels is None else read_map(labels, palette=True)
    return None if label is None else instances_on_stuff(folder, ids, label)


def _about_split(folder: DatasetFolder, split: str, values: SplitStatistics) -> list[Problem]:
    found = []
    for kind, asked, count in (('label', folder.classes, values.label_maps),
                               ('depth', folder.depth, values.depth_maps),
                               ('instance', folder.things, values.instance_maps)):
        missing = values.images - count
        if asked and missing:
            found.append(Problem(
                folder.root / kind, f'{missing} of {values.images} images of split {split} have '
                f'no readable {kind}', note=count > 0 or split not in NEEDED_SPLITS))
    if folder.depth is not None and folder.depth.quantity == 'depth':
        metres = folder.metres(np.arange(len(values.raw_depth), dtype=np.uint16))
        counts = np.where(metres > 0, values.raw_depth, 0)
        mean = float((metres * counts).sum() / counts.sum()) if counts.any() else None
        doubt = '' if mean is None else depth_doubt(mean, folder.depth.scale)
        if doubt:
            found.append(Problem(folder.root / 'dataset.yaml', f'split {split}: {doubt}',
                                 note=True))
    absent = [name for name, pixels in zip(folder.classes, values.class_pixels) if not pixels]
    if absent and values.label_maps:
        found.append(Problem(folder.root / f'{split}.txt', f'no pixel of {len(absent)} classes: '
                             f'{", ".join(absent)}', note=True))
    return found


def _from_error(error: DatasetError, path: Path) -> Problem:
    named, _, text = str(error).partition(': ')
    return Problem(Path(named), text) if text else Problem(path, str(error))
