# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes (leftImg8bit, gtFine, disparity, camera) as a data set folder."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
import logging
import math
from pathlib import Path

import cv2
from emu_perception.checkpoint import Intrinsics
from emu_perception.dataset_fields import DatasetError, DepthEncoding, IGNORE
from emu_perception.errors import InputError
import numpy as np
from rich.progress import track

from ..arguments.datasets.cityscapes import LABEL_KINDS
from ..data.image_maps import read_image
from .cityscapes_classes import (
    label_table,
    NAMES,
    PALETTE,
    SKY,
    thing_instances,
    THINGS,
)
from .cityscapes_files import (
    find_frames,
    ImageFiles,
    read_camera,
    read_map,
    StereoCamera,
)
from .folder_writer import (
    encode_metres,
    FolderWriter,
    metric_encoding,
)

LOGGER = logging.getLogger('training')
DISPARITY_STEPS = 256  # Of one pixel, as in the published maps; theirs, too, are one too large.


def metres_of(disparity: np.ndarray, camera: StereoCamera) -> np.ndarray:
    """
    Return depth in metres, float64 [H, W], 0 where there is none.

    :param disparity: uint16 p as published: 0 invalid, else (p - 1)/256 pixels at full size; p = 1
        is a point at infinity.
    """
    pixels = np.maximum(disparity.astype(np.float64) - 1, 1) / DISPARITY_STEPS
    return np.where(disparity >= 2, camera.baseline * camera.fx / pixels, 0.0)


def scaled_disparity(disparity: np.ndarray, label: np.ndarray | None, scale: float) -> np.ndarray:
    """
    Return disparity as stored, uint16: 1 + 256 px of the scaled image, sky 1 (0 px), 0 invalid.

    :param disparity: uint16 p as published.
    :param label: class indices; None leaves the sky as it was measured.
    """
    pixels = (disparity.astype(np.float64) - 1) * scale  # In steps.
    stored = np.where(disparity >= 1, np.round(pixels) + 1, 0)
    return (stored if label is None else np.where(label == SKY, 1, stored)).astype(np.uint16)


def prepare_cityscapes(root: Path, out: Path, *, depth: str = 'metric', max_depth_m: float = 80.0,
                       labels: str = 'ids', scale: float = 1.0, with_test: bool = False,
                       image_format: str = 'png', force: bool = False,
                       progress: bool = True) -> None:
    """
    Write the data set folder.

    :param depth: 'metric', 'disparity' or 'none'.
    :param labels: 'ids' maps labelIds to the 19 classes, 'trainids' takes labelTrainIds as they
        are.
    :param max_depth_m: metric depths from here on are invalid. Of disparities it bounds the depths
        that a network predicts, and nothing that it learns.
    :param scale: of width and height, 0 < scale <= 1. Images are averaged, maps sampled.
    :param with_test: write the images of the test split too, without labels.
    :raises EmuError: if an input cannot be used.
    """
    if not 0 < scale <= 1:
        raise InputError(f'--scale is {scale:g}: give a share above 0, up to 1')
    if depth == 'disparity' and not 0 < max_depth_m < math.inf:
        raise InputError(f'--max-depth is {max_depth_m}: give metres above 0')
    encoding: DepthEncoding | None = None
    notes = None
    if depth == 'metric':
        encoding = metric_encoding(0.0, max_depth_m)
    elif depth == 'disparity':
        encoding = DepthEncoding(1 / DISPARITY_STEPS, -1 / DISPARITY_STEPS, (0,), 0.0, 256.0)
        notes = {'quantity': 'disparity', 'unit': 'px', 'note': 'px of this width; sky is 0 px'}
    writer = FolderWriter(out, image_format=image_format, force=force)
    frames = {
        split: find_frames(root, split, disparity=depth != 'none', camera=depth == 'metric',
                           label_kind=LABEL_KINDS[labels] if split != 'test' else None)
        for split in ('train', 'val', *(['test'] if with_test else []))}
    cameras = {frame.stem: read_camera(frame.camera) for part in frames.values() for frame in part
               if frame.camera is not None}
    common = _common_camera([cameras[frame.stem] for frame in frames['train']
                             if frame.stem in cameras])
    if depth == 'disparity' and encoding is not None and common is not None:
        # Else the largest depth were infinite, and the sky's uncertainty kilometres. Inverse
        # depths are learned below it too.
        encoding = replace(encoding, min=common.fx * scale * common.baseline / max_depth_m)
        if encoding.min >= encoding.max:
            raise InputError(f'--max-depth is {max_depth_m}: nearer than the largest disparity, '
                             f'{encoding.max:g} px, can say')
    size = (0, 0)
    for frame in track([frame for part in frames.values() for frame in part], f'{out}',
                       disable=not progress):
        size = _convert(frame, writer, encoding if depth == 'metric' else None,
                        cameras.get(frame.stem), labels, scale)
    writer.finish(
        {split: [frame.stem for frame in part] for split, part in frames.items()},
        name='cityscapes', classes=NAMES, palette=PALETTE, depth=encoding, depth_notes=notes,
        source=f'Cityscapes leftImg8bit and gtFine at scale {scale:g}, depth: {depth}; official '
               'train and val',
        intrinsics=None if common is None else _intrinsics(common, size, scale),
        baseline_m=None if common is None else common.baseline,
        things=THINGS if (out / 'instance').is_dir() else ())


def _convert(frame: ImageFiles, writer: FolderWriter, metric: DepthEncoding | None,
             camera: StereoCamera | None, labels: str, scale: float) -> tuple[int, int]:
    """Write one image and its maps; returns the written (width, height)."""
    image = read_image(frame.image)
    full = image.shape[:2]
    size = (round(full[1] * scale), round(full[0] * scale))
    if min(size) < 1:
        raise InputError(f'--scale is {scale:g}: nothing is left of {full[1]}x{full[0]}')

    def read(path: Path, dtype: type[np.unsignedinteger]) -> np.ndarray:
        values = read_map(path, dtype)
        if values.shape != full:
            raise DatasetError(f'{path}: is {values.shape[1]}x{values.shape[0]}, its image is '
                               f'{full[1]}x{full[0]}')
        return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT)

    writer.image(frame.stem, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    label = None
    if frame.label is not None:
        label = read(frame.label, np.uint8)
        label = (label_table()[label] if labels == 'ids' else
                 np.where(label < len(NAMES), label, np.uint8(IGNORE)))
        writer.label(frame.stem, label)
    if frame.instance is not None:
        writer.instance(frame.stem, thing_instances(read(frame.instance, np.uint16)))
    if frame.disparity is not None:
        disparity = read(frame.disparity, np.uint16)
        if metric is not None and camera is not None:
            writer.depth(frame.stem, encode_metres(metres_of(disparity, camera), metric))
        else:
            writer.depth(frame.stem, scaled_disparity(disparity, label, size[0] / full[1]))
    return size


def _common_camera(cameras: list[StereoCamera]) -> StereoCamera | None:
    """Return the camera that most training images have."""
    if not cameras:
        return None
    (common, count), = Counter(cameras).most_common(1)
    if count < len(cameras):
        lengths = sorted(camera.fx for camera in cameras)
        LOGGER.info('the images are of several cameras, fx %.1f..%.1f px at full size: intrinsics '
                    'are those of %d of the %d training images', lengths[0], lengths[-1], count,
                    len(cameras))
    return common


def _intrinsics(camera: StereoCamera, size: tuple[int, int], scale: float) -> Intrinsics:
    """Return a camera's intrinsics at the written size."""
    # Pixel centres are at whole numbers: the centre scales about -0.5.
    return Intrinsics(*size, camera.fx * scale, camera.fy * scale,
                      (camera.cx + 0.5) * scale - 0.5, (camera.cy + 0.5) * scale - 0.5)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    prepare_cityscapes(options.root, options.out, depth=options.depth,
                       max_depth_m=options.max_depth, labels=options.labels, scale=options.scale,
                       with_test=options.with_test, image_format=options.image_format,
                       force=options.force, progress=not options.no_progress)
    return 0
