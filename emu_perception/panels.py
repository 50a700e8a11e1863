# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The panel of one image: image, labels with the flag, depth, both uncertainties, what is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import TypeAlias

import cv2
from emu_perception import visualization
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.fusion import SENSOR
from emu_perception.maps import MapRow, MAPS, NUMBERS, SCALE
from emu_perception.risk_status import banner_text
from emu_perception.scores import SCORES
from emu_perception.shown import Shown
import numpy as np

TILE_WIDTH = 480
BAR_WIDTH = 230  # Of a colour bar beside its title.
Meaning: TypeAlias = 'tuple[str, Sequence[int]]'  # In words, of a colour rgb.
_BACKGROUND = 24
_CLASSES_SHOWN = 9
_FAR_PERCENT, _ROOM_M = 99.0, 12.0


@dataclass(frozen=True)
class Tile:
    """
    A picture of a panel.

    :ivar picture: rgb8.
    :ivar bar: what its colours mean; None where they are of the legend, or of the world.
    """

    title: str
    picture: np.ndarray
    bar: np.ndarray | None = None


def scaled_tile(title: str, values: np.ndarray, top: float) -> Tile:
    """Return metres HxW in the colours of 0 to ``top``, with their bar."""
    return Tile(title, visualization.scalar_color(values, 0.0, top),
                visualization.color_bar(top, 'm', BAR_WIDTH))


def compared_tiles(shown: Shown, label: np.ndarray | None, depth: np.ndarray | None,
                   ) -> list[Tile]:
    """
    Return what is true, and how far the depth is from it, in the colours of what is shown.

    :param label: uint8 HxW; None = not known. Likewise ``depth``, metres, NaN unknown.
    """
    tiles, tops = [], shown.look.tops
    if label is not None:
        tiles.append(Tile('true labels', visualization.label_color(label, shown.look.palette)))
    ours = shown.given('depth')
    if depth is not None and ours is not None:
        tiles.append(scaled_tile('true depth', depth, tops['depth']))
        error = np.abs(np.where(np.isfinite(ours), ours, np.nan) - depth)
        known = error[np.isfinite(error)]
        # In the colours of sigma, which it is to be compared with.
        tiles.append(scaled_tile(f'depth error: mean {known.mean():.2f} m' if known.size
                                 else 'depth error', error, tops['depth_variance']))
    return tiles


def panel_of(shown: Shown, metadata: CheckpointMetadata, *, title: str = 'image',
             to_scale: bool, more: Sequence[Tile] = ()) -> np.ndarray:
    """
    Return the panel, rgb8; tasks that the checkpoint lacks are left out.

    :param title: of the tile of the image.
    :param to_scale: whether the focal length is known that metres are of.
    :param more: tiles before the legend.
    """
    tiles = [(title, shown.picture), ('labels and risk flag', _labels_and_flag(shown))]
    bars: list[np.ndarray | None] = [None, None]
    for row in MAPS.values():
        if row.color in (SCALE, NUMBERS) and (picture := shown.colored(row)) is not None:
            tiles.append((f'{row.words}{_about(row, shown, to_scale)}', picture))
            bars.append(visualization.color_bar(
                shown.look.tops[row.name], row.given_unit, BAR_WIDTH)
                        if row.color == SCALE else None)
    tiles += [(one.title, one.picture) for one in more]
    bars += [one.bar for one in more]
    tiles.append(('what the colours mean', _legend(shown, metadata)))
    return visualization.panel(tiles, columns=3, tile_width=TILE_WIDTH, bars=bars)


def _at_tile_width(picture: np.ndarray) -> np.ndarray:
    """Return a picture as wide as a tile: text written on a small one would be unreadable."""
    height = max(1, round(picture.shape[0] * TILE_WIDTH / picture.shape[1]))
    shrinks = TILE_WIDTH < picture.shape[1]
    return cv2.resize(picture, (TILE_WIDTH, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)


def _labels_and_flag(shown: Shown) -> np.ndarray:
    return visualization.risk_banner(_at_tile_width(shown.overlay), shown.risk.raised,
                                     banner_text(shown.risk))


def in_scene_colors(shown: Shown, rgb: np.ndarray) -> Shown:
    """
    Return the same with depth coloured over the range of this scene, which its bar says.

    :param rgb: uint8 HxWx3, the image.
    """
    depth = shown.given('depth')
    if depth is None:
        return shown
    tops = {**shown.look.tops, 'depth': scene_top(depth, shown.look.tops['depth'])}
    return Shown(rgb, shown.prediction, shown.risk, replace(shown.look, tops=tops))


def scene_top(depth: np.ndarray, highest: float) -> float:
    """
    Return the depth in the top colour for one scene: a round number above nearly all of it.

    :param highest: of the network's range, which is the answer where nothing is known.
    """
    known = depth[np.isfinite(depth)]
    if not known.size:
        return highest
    far = float(np.percentile(known, _FAR_PERCENT))
    step = 0.5 if far < _ROOM_M else 5.0
    return min(highest, max(step, math.ceil(far / step) * step))


def _about(row: MapRow, shown: Shown, to_scale: bool) -> str:
    """Return what the title of a tile says of its map: its score, or what is usual in it."""
    values, score = shown.given(row.name), SCORES.get(row.given_name)
    assert values is not None
    if row.name == 'depth':
        known = values[np.isfinite(values)]
        about = f'median {np.median(known):.2f} m' if known.size else 'unknown everywhere'
        return f': {about}{"" if to_scale else ", fx unknown: not to scale"}'
    if row.hinted:
        return f': {100 * (values == SENSOR).mean():.0f} % the sensor'
    if row.color == NUMBERS:
        return f': {np.count_nonzero(np.unique(values))}'
    if score is None or score.name not in shown.prediction.scores:
        return ''
    return f': mean {shown.prediction.scores[score.name]:.3f} {score.unit}'


def _legend(shown: Shown, metadata: CheckpointMetadata) -> np.ndarray:
    """Return the sources of depth and the most frequent classes, of the image's aspect."""
    rows: list[Meaning] = []
    for row in MAPS.values():
        if row.hinted and row.color == NUMBERS and row.name in shown.prediction.maps:
            rows += [(f'{row.words}: {meaning}', color) for meaning, color in numbered(row)]
    if shown.prediction.label is not None:
        rows += class_meanings(shown.prediction.label, metadata)
    return legend_tile(rows, shown.picture.shape[:2])


def legend_tile(rows: Sequence[Meaning], size: Sequence[int]) -> np.ndarray:
    """Return colours with what they mean, rgb8, of the aspect of ``size`` (height, width)."""
    tile = np.full((max(1, round(size[0] * TILE_WIDTH / size[1])), TILE_WIDTH, 3), _BACKGROUND,
                   np.uint8)
    for index, (text, color) in enumerate(rows):
        top = 8 + 22 * index
        if top + 18 > tile.shape[0]:
            break
        tile[top:top + 14, 8:30] = color
        cv2.rectangle(tile, (8, top), (29, top + 13), (120, 120, 120))  # Black is one of them.
        visualization.put_text(tile, text, (38, top + 12), 15)
    return tile


def numbered(row: MapRow) -> list[Meaning]:
    """Return the meanings of a map of numbers that mean something each, with their colours."""
    parts = [part.strip().split(maxsplit=1) for part in row.unit.split(',')]
    parts.append([row.unknown, 'unknown'])
    colors = visualization.label_color(np.array([int(number) for number, _ in parts], np.uint8),
                                       row.numbered)
    return [(meaning, color.tolist()) for (_, meaning), color in zip(parts, colors)]


def class_meanings(label: np.ndarray, metadata: CheckpointMetadata) -> list[Meaning]:
    """Return the most frequent classes of a map, with their shares and colours."""
    counts = np.bincount(label.ravel(), minlength=256)
    shares = [(metadata.classes[index], metadata.palette[index], counts[index] / label.size)
              for index in np.argsort(-counts[:len(metadata.classes)], kind='stable')
              [:_CLASSES_SHOWN] if counts[index]]
    if counts[255]:
        shares.append(('unlabelled', (0, 0, 0), counts[255] / label.size))
    return [(f'{100 * share:4.1f} %  {name}', color) for name, color, share in shares]
