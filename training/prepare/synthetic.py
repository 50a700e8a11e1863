# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes with labels, instances and depth that are known, for tests."""

from __future__ import annotations

import argparse
from pathlib import Path
import re

from emu_perception.checkpoint import Intrinsics
from emu_perception.errors import InputError
import numpy as np
from rich.progress import track

from ..data.synthetic_scenes import CLASSES, FAR_M, FOCAL, PALETTE, synthetic_scene, THINGS
from .folder_writer import (
    encode_metres,
    FolderWriter,
    metric_encoding,
)


def prepare_synthetic(out: Path, *, images: int, size: tuple[int, int] = (64, 128), seed: int = 0,
                      image_format: str = 'png', force: bool = False,
                      progress: bool = True) -> None:
    """
    Write the data set folder.

    :param images: 5 or more, so that there is a validation image.
    :param size: (height, width), 32 pixels or more each.
    :raises EmuError: if an argument is out of range or the folder cannot be written.
    """
    if images < 5:
        raise InputError(f'--images is {images}: give 5 or more, every fifth is for validation')
    if min(size) < 32 or max(size) > 4096:
        raise InputError(f'--size is {size[0]}x{size[1]}: give 32 to 4096 pixels each')
    writer = FolderWriter(out, image_format=image_format, force=force)
    encoding = metric_encoding(0.0, FAR_M + 1.0)
    stems = [f'{index:05d}' for index in range(images)]
    for index, stem in enumerate(track(stems, f'{out}', disable=not progress)):
        scene = synthetic_scene(np.random.default_rng((seed, index)), size)
        writer.image(stem, scene.image)
        writer.label(stem, scene.label)
        writer.depth(stem, encode_metres(scene.depth, encoding))
        writer.instance(stem, scene.instance)
    val = stems[-(images // 5):]
    height, width = size
    writer.finish(
        {'train': stems[:-len(val)], 'val': val}, name='synthetic', classes=CLASSES,
        palette=PALETTE, things=THINGS, depth=encoding,
        source=f'drawn by emu prepare synthetic, seed {seed}',
        intrinsics=Intrinsics(width, height, FOCAL * width, FOCAL * width, (width - 1) / 2,
                              (height - 1) / 2))


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    match = re.fullmatch(r'(\d{1,4})x(\d{1,4})', options.size)
    if match is None:
        raise InputError(f"--size is '{options.size}': give height and width, as 64x128")
    if options.seed < 0:
        raise InputError(f'--seed is {options.seed}: give 0 or more')
    prepare_synthetic(options.out, images=options.images, size=(int(match[1]), int(match[2])),
                      seed=options.seed, image_format=options.image_format, force=options.force,
                      progress=not options.no_progress)
    return 0
