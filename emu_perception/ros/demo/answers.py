# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows of the answers: a panel for each image, and a summary of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
from emu_perception import visualization
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.panels import (
    BAR_WIDTH,
    class_meanings,
    legend_tile,
    scaled_tile,
    scene_top,
    Tile,
    TILE_WIDTH,
)
from emu_perception.ros.demo.frames import DemoFrame
from emu_perception.ros.demo.listener import Answer
from emu_perception.scores import Score, SCORES
from emu_perception.shown import Look
import numpy as np

_FARTHEST_SHOWN_M = 20.0


@dataclass(frozen=True)
class DepthScore:
    """Errors of one depth map against the truth: sums over ``pixels``, so that they pool."""

    pixels: int
    squared: float
    relative: float
    within: int

    @staticmethod
    def of(depth: np.ndarray, truth: np.ndarray) -> DepthScore:
        """Compare where both are finite; both HxW in metres, of one size."""
        good = np.isfinite(depth) & np.isfinite(truth) & (truth > 0)
        ours, theirs = depth[good].astype(np.float64), truth[good].astype(np.float64)
        with np.errstate(divide='ignore'):
            ratio = np.maximum(ours / theirs, theirs / ours)
        return DepthScore(int(good.sum()), float(((ours - theirs) ** 2).sum()),
                          float((np.abs(ours - theirs) / theirs).sum()),
                          int((ratio < 1.25).sum()))

    @staticmethod
    def pooled(scores: Sequence[DepthScore]) -> dict[str, float] | None:
        """Return RMSE (m), mean absolute relative error and delta1 over all pixels."""
        pixels = sum(score.pixels for score in scores)
        if not pixels:
            return None
        return {'rmse_m': math.sqrt(sum(score.squared for score in scores) / pixels),
                'abs_rel': sum(score.relative for score in scores) / pixels,
                'delta1': sum(score.within for score in scores) / pixels, 'pixels': pixels}


def draw_panel(frame: DemoFrame, answer: Answer, truth: np.ndarray | None,
               metadata: CheckpointMetadata) -> np.ndarray:
    """
    Return the rgb8 panel of one answer, made of the messages received.

    :param truth: depth in metres, as ``frame.depth_is`` says; NaN unknown; None = not known.
    :param metadata: of the checkpoint that answered.
    """
    pixels = answer.pixels
    depth = pixels.get('depth/image')
    if depth is None or truth is None or truth.shape != depth.shape:
        truth = None
    tiles = [Tile(f'{answer.name} ({frame.kind})', pixels['image'])]
    if 'overlay' in pixels:
        tiles.append(Tile('labels over the image, risk flag', pixels['overlay']))
    if depth is not None:
        # One range for both, of this scene, which the bars say.
        far = max(scene_top(values, _FARTHEST_SHOWN_M) for values in (depth, truth)
                  if values is not None)
        tiles += [scaled_tile(title, values, far) for title, values in (
            ('depth', depth), (frame.depth_is, truth)) if values is not None]
    if 'segmentation_uncertainty_color' in pixels:
        tiles.append(Tile(f'entropy: mean {_figure(answer, SCORES["segmentation_entropy"].key)} '
                          'nat', pixels['segmentation_uncertainty_color'],
                          visualization.color_bar(Look.of(metadata, {}).tops[
                              'segmentation_entropy'], 'nat', BAR_WIDTH)))
    error = None if depth is None or truth is None else np.abs(depth - truth)
    sigma = pixels.get('depth_uncertainty')
    wide = max((scene_top(values, _FARTHEST_SHOWN_M) for values in (sigma, error)
                if values is not None), default=1.0)
    if sigma is not None:
        mean = _figure(answer, SCORES['depth_sigma'].key)
        tiles.append(scaled_tile(f'depth sigma: mean {mean} m', sigma, wide))
    if error is not None and depth is not None and truth is not None:
        score = DepthScore.pooled([DepthScore.of(depth, truth)]) or {'rmse_m': math.nan}
        # In the colours of sigma, which it is to be compared with.
        tiles.append(scaled_tile(f'depth error: RMSE {score["rmse_m"]:.2f} m', error, wide))
    tiles.append(Tile('risk', _risk_tile(answer, pixels['image'].shape)))
    if 'label' in pixels:
        tiles.append(Tile('what the colours mean', legend_tile(
            class_meanings(pixels['label'], metadata), pixels['label'].shape)))
    return visualization.panel([(tile.title, tile.picture) for tile in tiles], columns=3,
                               tile_width=TILE_WIDTH, bars=[tile.bar for tile in tiles])


def summarize(frames: Sequence[DemoFrame], answers: Sequence[Answer],
              scores: dict[str, DepthScore], changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary, ready for JSON."""
    kind_of = {frame.name: frame.kind for frame in frames}
    answered = [answer for answer in answers if answer.latency_s is not None]
    latencies_ms = [1e3 * answer.latency_s for answer in answered if answer.latency_s is not None]
    wait_s = sum(answer.wait_s for answer in answered)
    kinds: dict[str, Any] = {}
    for kind in dict.fromkeys(kind_of[answer.name] for answer in answers):
        group = [answer for answer in answered if kind_of[answer.name] == kind]
        kinds[kind] = {
            'images': len(group),
            'panel': panel_name(group[-1].name) if group else None,
            **{f'mean_{score_key(row)}': _average(group, row.key) for row in SCORES.values()},
            'share_judged_uncertain': _share_uncertain(group),
            'share_with_risk_raised': _share(
                [answer.status.get('raised') == 'True' for answer in group]),
            'depth_against_truth': DepthScore.pooled(
                [scores[answer.name] for answer in group if answer.name in scores])}
    thresholds = answered[-1] if answered else Answer('')
    return {
        'images_sent': len(answers), 'images_answered': len(answered),
        'rate_hz_one_image_at_a_time': len(answered) / wait_s if wait_s else None,
        'latency_p50_ms': _percentile(latencies_ms, 50),
        'latency_p99_ms': _percentile(latencies_ms, 99),
        **{f'threshold_{score_key(row)}': thresholds.figure(row.threshold_key)
           for row in SCORES.values()},
        'risk_changes': changes, 'kinds': kinds}


def panel_name(image: str) -> str:
    """Return what the panel of an image is called."""
    return f'{Path(image).stem}.png'


def _risk_tile(answer: Answer, shape: tuple[int, ...]) -> np.ndarray:
    tile = np.full((shape[0], shape[1], 3), 40, np.uint8)
    status = answer.status
    raised = status.get('raised') == 'True'
    tile[:] = (110, 20, 20) if raised else (20, 80, 40)
    rows = ['RISK' if raised else 'no risk', f'reason: {status.get("reason", "?")}',
            status.get('detail', ''),
            *(f'{row.words} {_figure(answer, row.key)}{row.suffix.replace("_", " ")}, threshold '
              f'{status.get(row.threshold_key, "?")}' for row in SCORES.values()
              if answer.figure(row.key) is not None)]
    line = shape[0] // (2 * len(rows) + 2)
    for number, text in enumerate(rows):
        size = line * (2 if number == 0 else 1)
        visualization.put_text(tile, text, (line, int(line * (2.4 + 2 * number))), size)
    return tile


def score_key(row: Score) -> str:
    """Return what the summary calls a score, after 'mean_' and 'threshold_'."""
    return row.name.removeprefix('segmentation_') + row.suffix


def _figure(answer: Answer, key: str) -> str:
    value = answer.figure(key)
    return 'n/a' if value is None else f'{value:.2f}'


def _average(group: Sequence[Answer], key: str) -> float | None:
    values = [value for answer in group if (value := answer.figure(key)) is not None]
    return float(np.mean(values)) if values else None


def _share_uncertain(group: Sequence[Answer]) -> float | None:
    """Return the share of images above a threshold by themselves, hysteresis left out."""
    judged = []
    for answer in group:
        limits = [(answer.figure(row.key), answer.figure(row.threshold_key))
                  for row in SCORES.values()]
        known = [(mean, limit) for mean, limit in limits if None not in (mean, limit)]
        if known:
            judged.append(any(mean > limit for mean, limit in known))  # type: ignore[operator]
    return _share(judged)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def write_png(path: str, picture: np.ndarray) -> None:
    """Write an rgb8 picture; light compression, since a demo's time is better spent elsewhere."""
    cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])
