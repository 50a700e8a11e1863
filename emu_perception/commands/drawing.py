# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The panel of one image: image, labels with the flag, depth, both uncertainties, what is what."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from emu_perception import visualization
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.result import Result
from emu_perception.fusion import SENSOR
from emu_perception.maps import MapRow, MAPS, NUMBERS, SCALE
from emu_perception.risk_status import banner_text
from emu_perception.scores import SCORES
from emu_perception.shown import Shown
import numpy as np

TILE_WIDTH = 480
_BACKGROUND = 24
_CLASSES_SHOWN = 9


def draw_panel(result: Result, metadata: CheckpointMetadata) -> np.ndarray:
    """Return the panel, rgb8; tasks that the checkpoint lacks are left out."""
    shown = result.shown
    assert shown is not None
    source = result.source
    # The images of a bag have no name but their stamp.
    title = '' if source.record else f'{source.name}   '
    tiles = [(f'{title}t = {source.header.stamp_ns / 1e9:.3f} s', shown.picture),
             ('labels and risk flag', _labels_and_flag(shown))]
    for row in MAPS.values():
        if row.color in (SCALE, NUMBERS) and (picture := shown.colored(row)) is not None:
            tiles.append((f'{row.words}{_about(row, result)}', picture))
    tiles.append(('colours', _legend(shown, metadata)))
    return visualization.panel(tiles, columns=3, tile_width=TILE_WIDTH)


def _labels_and_flag(shown: Shown) -> np.ndarray:
    picture = shown.overlay
    height = max(1, round(picture.shape[0] * TILE_WIDTH / picture.shape[1]))
    shrinks = TILE_WIDTH < picture.shape[1]
    # The banner goes on at the panel's size: its text would be unreadable on a small image.
    picture = cv2.resize(picture, (TILE_WIDTH, height),
                         interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return visualization.risk_banner(picture, shown.risk.raised, banner_text(shown.risk))


def _about(row: MapRow, result: Result) -> str:
    """Return what the title of a tile says of its map: its score, or what is usual in it."""
    shown = result.shown
    assert shown is not None
    values, score = shown.given(row.name), SCORES.get(row.given_name)
    assert values is not None
    if row.name == 'depth':
        known = values[np.isfinite(values)]
        about = f'median {np.median(known):.2f} m' if known.size else 'unknown everywhere'
        return f': {about}{"" if result.camera else ", fx unknown: not to scale"}'
    if row.hinted:
        return f': {100 * (values == SENSOR).mean():.0f} % the sensor'
    if row.color == NUMBERS:
        return f': {np.count_nonzero(np.unique(values))}'
    if score is None or score.name not in shown.prediction.scores:
        return ''
    return f': mean {shown.prediction.scores[score.name]:.3f} {score.unit}'


def _legend(shown: Shown, metadata: CheckpointMetadata) -> np.ndarray:
    """Return scales and the most frequent classes, of the image's aspect."""
    height, width = shown.picture.shape[:2]
    tile = np.full((max(1, round(height * TILE_WIDTH / width)), TILE_WIDTH, 3), _BACKGROUND,
                   np.uint8)
    top = 8
    for row in MAPS.values():
        if row.color != SCALE or row.name not in shown.prediction.maps:
            continue
        high = shown.look.tops[row.name]
        ramp = np.tile(np.linspace(0.0, high, TILE_WIDTH - 220, dtype=np.float32), (14, 1))
        if top + 14 > tile.shape[0]:
            return tile
        tile[top:top + 14, 100:TILE_WIDTH - 120] = visualization.scalar_color(ramp, 0.0, high)
        _write(tile, f'{row.words.split()[-1]} 0', 8, top + 12)
        _write(tile, f'{high:.3g} {row.given_unit} and more', TILE_WIDTH - 114, top + 12)
        top += 24
    if shown.prediction.label is not None:
        _classes(tile, shown.prediction.label, metadata, top + 8)
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
