# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""NYU Depth v2, the 1449 labelled images (nyu_depth_v2_labeled.mat), as a data set folder."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
import re

from emu_perception.checkpoint import Intrinsics
from emu_perception.errors import InputError
from emu_perception.foreign_files import read_text, why_unread
from rich.progress import track

from ..data.dataset_folder import DatasetError
from .folder_writer import (
    encode_metres,
    FolderWriter,
    metric_encoding,
)
from .nyuv2_files import LabeledImages, map_labels, read_mapping, read_splits
from .scene_split import validation_scenes

# Of the Kinect's rgb camera, from camera_params.m of the toolbox published with the data.
INTRINSICS = Intrinsics(640, 480, fx=518.857901, fy=519.469611, cx=325.582449, cy=253.736166)
DEPTH_RANGE_M = (1e-3, 10.0)
LABELS = 894


def prepare_nyuv2(mat: Path, splits: Path, mapping: Path, out: Path, *,
                  mapping13: Path | None = None, raw_depth: bool = False, val_share: float = 0.1,
                  val_from: Path | None = None, seed: int = 0,
                  image_format: str = 'png', force: bool = False,
                  progress: bool = True) -> None:
    """
    Write the data set folder.

    :param mapping13: writes 13 classes instead of 40.
    :param raw_depth: write depth as measured (with holes) instead of in-filled.
    :param val_share: of the official training images, chosen by room; 0 writes no val.txt.
    :param val_from: a file of stems that are the validation part, instead of ``val_share``.
    :raises EmuError: if an input cannot be used.
    """
    if seed < 0:
        raise InputError(f'--seed is {seed}: give 0 or more')
    to_class, classes = read_mapping(mapping, LABELS, 40)
    if mapping13 is not None:
        to_13, classes = read_mapping(mapping13, 40, 13)
        to_class = to_13[to_class]
    encoding = metric_encoding(*DEPTH_RANGE_M)
    writer = FolderWriter(out, image_format=image_format, force=force)
    with closing(LabeledImages(mat, 'rawDepths' if raw_depth else 'depths')) as images:
        train, test = read_splits(splits, images.count)
        if val_from is not None:
            val = _listed(val_from, train)
            chosen_by = f'split off the official train by {val_from.name}'
        else:
            # 'kitchen_0004a' and 'kitchen_0004b' are two recordings of one room.
            rooms = [re.sub('[a-z]+$', '', name) for name in images.scenes()]
            chosen = validation_scenes([rooms[i - 1] for i in train], val_share, seed)
            val = {number for number in train if rooms[number - 1] in chosen}
            chosen_by = 'split off the official train by room' if val else 'none'
        for number in track(sorted(train + test), f'{out}', disable=not progress):
            try:
                label = map_labels(images.label(number - 1), to_class)
            except ValueError as error:
                raise DatasetError(f"{mat}: field 'labels' of image {number} holds {error} "
                                   f'({mapping})') from error
            writer.image(stem(number), images.image(number - 1))
            writer.label(stem(number), label)
            writer.depth(stem(number), encode_metres(images.depth(number - 1), encoding))
        size = (images.width, images.height)
    parts = {'train': [n for n in train if n not in val], 'val': sorted(val), 'test': test}
    writer.finish(
        {split: [stem(number) for number in numbers] for split, numbers in parts.items()},
        name='nyuv2', classes=classes, depth=encoding,
        source=f'{mat.name}, {"raw" if raw_depth else "in-filled"} depth, {len(classes)} classes; '
               f'the official splits, val {chosen_by}',
        intrinsics=INTRINSICS if size == (INTRINSICS.width, INTRINSICS.height) else None)


def stem(number: int) -> str:
    """Return the stem of an image by its number, from 1."""
    return f'{number:04d}'


def _listed(path: Path, train: list[int]) -> set[int]:
    try:
        stems = read_text(path).split()
    except OSError as error:
        raise DatasetError(f'{path}: {why_unread(error)}') from error
    known = {stem(number): number for number in train}
    for name in stems:
        if name not in known:
            raise DatasetError(f"{path}: '{name}' is not an image of the official training split")
    named = len({*stems})
    if not 0 < named < len(train):
        raise DatasetError(f'{path}: --val-from names {named} of the {len(train)} official '
                           'training images: give some and not all, or --val-share 0 for no val')
    return {known[name] for name in stems}


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if (options.classes == 13) != (options.mapping13 is not None):
        raise InputError(f'--classes is {options.classes} and --mapping13 is '
                         f'{options.mapping13}: --classes 13 and --mapping13 go together')
    prepare_nyuv2(options.mat, options.splits, options.mapping, options.out,
                  mapping13=options.mapping13, raw_depth=options.raw_depth,
                  val_share=options.val_share, val_from=options.val_from, seed=options.seed,
                  image_format=options.image_format, force=options.force,
                  progress=not options.no_progress)
    return 0
