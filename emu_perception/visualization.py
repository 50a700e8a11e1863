# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: coloured labels, coloured maps of a fixed range, overlays, panels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Palette = Sequence[Sequence[int]]
_COLORMAPS = {'turbo': cv2.COLORMAP_TURBO, 'magma': cv2.COLORMAP_MAGMA,
              'viridis': cv2.COLORMAP_VIRIDIS, 'inferno': cv2.COLORMAP_INFERNO}
_RAISED_RGB = (200, 30, 30)
_CLEAR_RGB = (30, 140, 60)


def default_palette(classes: int) -> list[tuple[int, int, int]]:
    """Return ``classes`` distinct RGB colours: golden-angle hues in three brightness bands."""
    if classes == 0:
        return []
    indices = np.arange(classes)
    hue = (indices * 0.61803398875 % 1.0 * 179).astype(np.uint8)
    saturation = np.array([200, 140, 255], np.uint8)[indices % 3]
    value = np.array([230, 180, 130], np.uint8)[indices // 2 % 3]
    hsv = np.stack([hue, saturation, value], axis=-1)[None]
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def label_color(label: np.ndarray, palette: Palette) -> np.ndarray:
    """Colour class indices: uint8 HxW -> rgb8 HxWx3; an index without a colour (255) is black."""
    table = np.zeros((256, 3), np.uint8)
    table[:len(palette)] = np.asarray(palette, np.uint8).reshape(-1, 3)
    return table[label]


def instance_color(instance: np.ndarray) -> np.ndarray:
    """Colour objects: uint16 HxW -> rgb8 HxWx3; a number has one colour always, 0 is black."""
    # 0 apart, the numbers share 255 colours in turn.
    return label_color(np.where(instance > 0, (instance - 1) % 255 + 1, 0).astype(np.uint8),
                       [(0, 0, 0), *default_palette(255)])


def instance_outlines(picture_rgb: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Return a copy with a white line around each object (same size)."""
    edge = np.zeros(instance.shape, bool)
    edge[:, 1:] |= instance[:, 1:] != instance[:, :-1]
    edge[1:] |= instance[1:] != instance[:-1]
    picture = picture_rgb.copy()
    picture[edge] = 255
    return picture


def scalar_color(values: np.ndarray, low: float, high: float,
                 colormap: str = 'turbo') -> np.ndarray:
    """
    Colour a map over a fixed range, so that colours compare over time.

    :param values: float HxW; NaN becomes black, +inf and values above ``high`` the top colour.
    :return: rgb8 HxWx3.
    """
    unknown = np.isnan(values)
    scaled = np.clip((values - low) * (255.0 / (high - low)), 0.0, 255.0)
    index = np.where(unknown, 0.0, scaled).astype(np.uint8)
    rgb = cv2.cvtColor(cv2.applyColorMap(index, _COLORMAPS[colormap]), cv2.COLOR_BGR2RGB)
    rgb[unknown] = 0
    return rgb


def overlay(image_rgb: np.ndarray, label: np.ndarray, palette: Palette,
            alpha: float = 0.5) -> np.ndarray:
    """Blend label colours over the image (rgb8, same size); unlabelled pixels keep the image."""
    blended = cv2.addWeighted(image_rgb, 1.0 - alpha, label_color(label, palette), alpha, 0.0)
    unlabelled = label >= len(palette)
    blended[unlabelled] = image_rgb[unlabelled]
    return blended


def risk_banner(image_rgb: np.ndarray, raised: bool, text: str) -> np.ndarray:
    """Return a copy with a strip across the top: red when the flag is raised, else green."""
    picture = image_rgb.copy()
    height = max(18, picture.shape[0] // 20)
    picture[:height] = _RAISED_RGB if raised else _CLEAR_RGB
    put_text(picture, text, (6, int(height * 0.72)), height)
    return picture


def put_text(picture: np.ndarray, text: str, origin: tuple[int, int], line_height: int,
             color: tuple[int, int, int] = (255, 255, 255)) -> None:
    """Write one line in place, shrunk until it fits the picture's width."""
    text = text.encode('ascii', 'replace').decode()
    scale = line_height / 36.0
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    room = picture.shape[1] - origin[0] - 4
    if width > room > 0:
        scale *= room / width
    cv2.putText(picture, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)


def color_bar(high: float, unit: str, width: int, height: int = 20) -> np.ndarray:
    """Return the colours of :func:`scalar_color` from 0 to ``high`` and its values, + for more."""
    ramp = np.tile(np.linspace(0.0, high, width, dtype=np.float32), (height, 1))
    bar = scalar_color(ramp, 0.0, high)
    middle, end = f'{high / 2:.3g}', f'{high:.3g}+ {unit}'.encode('ascii', 'replace')
    # The scale's ends are dark, its middle is light.
    for text, share, color in (('0', 0.0, (255, 255, 255)), (middle, 0.5, (0, 0, 0)),
                               (end.decode(), 1.0, (255, 255, 255))):
        scale = height / 46.0
        length = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
        left = round(min(max(4.0, share * width - length / 2), width - length - 4.0))
        cv2.putText(bar, text, (left, round(height * 0.72)), cv2.FONT_HERSHEY_SIMPLEX, scale,
                    color, 1, cv2.LINE_AA)
    return bar


def panel(tiles: Sequence[tuple[str, np.ndarray]], columns: int = 3, tile_width: int = 480,
          bars: Sequence[np.ndarray | None] = ()) -> np.ndarray:
    """
    Lay out titled rgb8 pictures in a grid.

    :param tiles: (title, rgb8 HxWx3); pictures are scaled to ``tile_width``, aspect kept.
    :param bars: rgb8 of the tiles' colours, each at the right of its title; None: it has none.
    :return: rgb8 picture of the whole grid.
    """
    bar = 26
    scaled = []
    for title, picture in tiles:
        height = max(1, round(picture.shape[0] * tile_width / picture.shape[1]))
        shrinks = tile_width < picture.shape[1]
        picture = cv2.resize(picture, (tile_width, height),
                             interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
        scaled.append((title, picture))
    cell = max(picture.shape[0] for _, picture in scaled) + bar
    rows = -(-len(scaled) // columns)
    grid = np.full((rows * cell, columns * tile_width, 3), 24, np.uint8)
    for i, (title, picture) in enumerate(scaled):
        top, left = i // columns * cell, i % columns * tile_width
        grid[top + bar:top + bar + picture.shape[0], left:left + tile_width] = picture
        colors = bars[i] if i < len(bars) else None
        room = tile_width if colors is None else tile_width - colors.shape[1] - 4
        if colors is not None:
            row, column = top + (bar - colors.shape[0]) // 2, left + room
            grid[row:row + colors.shape[0], column:column + colors.shape[1]] = colors
        put_text(grid[top:top + bar, left:left + room], title, (6, 18), 18)
    return grid
