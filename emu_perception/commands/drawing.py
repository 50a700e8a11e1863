# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The panel of one image: image, labels with the flag, depth, both uncertainties, what is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import cv2
from emu_perception import visualization
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.result import Result
from emu_perception.risk_status import banner_text
import numpy as np

TILE_WIDTH = 480
_BACKGROUND = 24
_CLASSES_SHOWN = 9


@dataclass(frozen=True)
class ColorRanges:
    """Ends of the fixed colour scales, so that colours compare from image to image."""

    depth_m: float
    entropy_nat: float
    sigma_m: float


def color_ranges(metadata: CheckpointMetadata, sigma_m: float) -> ColorRanges:
    """Return depth to the checkpoint's range, entropy to ln K (knowing nothing)."""
    depth_m = metadata.depth_max if math.isfinite(metadata.depth_max) else 10.0
    return ColorRanges(depth_m, math.log(max(len(metadata.classes), 2)), sigma_m)


def draw_panel(result: Result, metadata: CheckpointMetadata, ranges: ColorRanges) -> np.ndarray:
    """Return the panel, rgb8; tasks that the checkpoint lacks are left out."""
    prediction, picture = result.prediction, result.picture()
    assert prediction is not None
    source = result.source
    # The images of a bag have no name but their stamp.
    title = '' if source.record else f'{source.name}   '
    tiles = [(f'{title}t = {source.header.stamp_ns / 1e9:.3f} s', picture)]
    sigma = prediction.depth_sigma
    shown = picture
    if prediction.label is not None:
        shown = visualization.overlay(picture, prediction.label, metadata.palette)
    if prediction.instance is not None:
        shown = visualization.instance_outlines(shown, prediction.instance)
    height = max(1, round(shown.shape[0] * TILE_WIDTH / shown.shape[1]))
    shrinks = TILE_WIDTH < shown.shape[1]
    # The banner goes on at the panel's size: its text would be unreadable on a small image.
    shown = cv2.resize(shown, (TILE_WIDTH, height),
                       interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    tiles.append(('labels and risk flag',
                  visualization.risk_banner(shown, result.risk.raised, banner_text(result.risk))))
    if result.depth is not None:
        known = result.depth[np.isfinite(result.depth)]
        about = f'median {np.median(known):.2f} m' if known.size else 'unknown everywhere'
        scaled = '' if result.camera else ', fx unknown: not to scale'
        tiles.append((f'depth: {about}{scaled}',
                      visualization.scalar_color(result.depth, 0.0, ranges.depth_m)))
    if prediction.segmentation_entropy is not None:
        tiles.append((f'entropy: mean {prediction.scores["segmentation_entropy"]:.3f} nat',
                      visualization.scalar_color(prediction.segmentation_entropy, 0.0,
                                                 ranges.entropy_nat)))
    if sigma is not None:
        tiles.append((f'depth sigma: mean {prediction.scores["depth_sigma"]:.3f} m',
                      visualization.scalar_color(sigma, 0.0, ranges.sigma_m)))
    if prediction.instance is not None:
        tiles.append((f'instances: {np.count_nonzero(np.unique(prediction.instance))}',
                      visualization.instance_color(prediction.instance)))
    tiles.append(('colours', _legend(result, metadata, ranges)))
    return visualization.panel(tiles, columns=3, tile_width=TILE_WIDTH)


def _legend(result: Result, metadata: CheckpointMetadata, ranges: ColorRanges) -> np.ndarray:
    """Return scales and the most frequent classes, of the image's aspect."""
    height, width = result.picture().shape[:2]
    tile = np.full((max(1, round(height * TILE_WIDTH / width)), TILE_WIDTH, 3), _BACKGROUND,
                   np.uint8)
    scales = []
    prediction = result.prediction
    assert prediction is not None
    if result.depth is not None:
        scales += [('depth', ranges.depth_m, 'm'), ('sigma', ranges.sigma_m, 'm')]
    if prediction.label is not None:
        scales.insert(1, ('entropy', ranges.entropy_nat, 'nat'))
    top = 8
    for name, high, unit in scales:
        ramp = np.tile(np.linspace(0.0, high, TILE_WIDTH - 220, dtype=np.float32), (14, 1))
        if top + 14 > tile.shape[0]:
            return tile
        tile[top:top + 14, 100:TILE_WIDTH - 120] = visualization.scalar_color(ramp, 0.0, high)
        _write(tile, f'{name} 0', 8, top + 12)
        _write(tile, f'{high:.3g} {unit} and more', TILE_WIDTH - 114, top + 12)
        top += 24
    if prediction.label is not None:
        _classes(tile, prediction.label, metadata, top + 8)
    return tile


def _classes(tile: np.ndarray, label: np.ndarray, metadata: CheckpointMetadata, top: int) -> None:
    counts = np.bincount(label.ravel(), minlength=256)
    rows: list[tuple[str, Sequence[int], float]] = [
        (metadata.classes[index], metadata.palette[index], counts[index] / label.size)
        for index in np.argsort(-counts[:len(metadata.classes)], kind='stable')[:_CLASSES_SHOWN]
        if counts[index]]
    if counts[255]:
        rows.append(('unlabelled', (0, 0, 0), counts[255] / label.size))
    for name, color, share in rows:
        if top + 18 > tile.shape[0]:
            return
        tile[top:top + 14, 8:30] = color
        _write(tile, f'{100 * share:4.1f} %  {name}', 38, top + 12)
        top += 22


def _write(tile: np.ndarray, text: str, left: int, bottom: int) -> None:
    visualization.put_text(tile, text, (left, bottom), 15)
