# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From the results of all metrics to one dict of plain Python values, ready for JSON."""

from __future__ import annotations

import math
from typing import Any

import torch

from .certainty_cells import (
    CELLS,
    CERTAINTY,
    certainty_figures,
    THRESHOLDS,
    VOIDS,
)
from .rss import rss

SEGMENTATION, DEPTH = 'segmentation', 'depth'
DETECTION = ('auroc', 'average_precision', 'fpr95')
Results = dict[str, dict[str, torch.Tensor]]


def segmentation_figures(results: Results, threshold: str) -> dict[str, Any]:
    """Return the figures of segmentation; those of the uncertainty only where it was seen."""
    confusion = results['confusion']
    figures: dict[str, Any] = {name: confusion[name]
                               for name in ('miou', 'classes_counted', 'pixel_accuracy')}
    if _uncertainty_seen(results):
        certainty = [results[threshold][name] for name in CERTAINTY]
        ece = results['ece']['ece']
        figures |= {'ece': ece, 'ece_10': results['ece_10']['ece'], **results['proper'],
                    **dict(zip(CERTAINTY, certainty)), **_ranking(results),
                    'rss': rss(float(confusion['miou']), float(ece), float(certainty[0]),
                               float(certainty[1]))}
    return {**figures, 'pixels': confusion['pixels']}


def depth_figures(results: Results, threshold: str) -> dict[str, Any]:
    """Return the figures of depth; those of the uncertainty only where it was seen."""
    figures: dict[str, Any] = dict(results['errors'])
    pixels = figures.pop('pixels')
    if _uncertainty_seen(results):
        figures |= {name: value for name, value in results['gaussian'].items()
                    if name not in ('nominal', 'observed')}
        figures |= {name: results[threshold][name] for name in CERTAINTY}
        figures |= {**_ranking(results), 'auroc_relative': results['relative']['auroc']}
    return {**figures, 'pixels': pixels}


def policies(results: dict[str, Results]) -> list[dict[str, Any]]:
    """Return the three figures of certainty of each task under each void and threshold."""
    rows = []
    for void in VOIDS:
        for threshold in THRESHOLDS:
            row: dict[str, Any] = {'void': void, 'threshold': threshold}
            for task, metrics in results.items():
                if _uncertainty_seen(metrics):
                    cells = torch.stack([metrics[threshold][name] for name in CELLS]).view(3, 2)
                    # Depth has no void class: a pixel without depth has no truth to miss.
                    row[task] = certainty_figures(
                        cells, void if task == SEGMENTATION else 'exclude')
            rows.append(row)
    return rows


def curves(results: dict[str, Results]) -> dict[str, Any]:
    """Return the curves of each task whose uncertainty was seen."""
    found = {}
    for task, metrics in results.items():
        if _uncertainty_seen(metrics):
            name, source, keys = (
                ('reliability', 'ece', ('count', 'accuracy', 'confidence'))
                if task == SEGMENTATION else ('coverage', 'gaussian', ('nominal', 'observed')))
            found[task] = {
                name: _pick(metrics[source], keys),
                'sparsification': _pick(metrics['sparsification'],
                                        ('fraction', 'error', 'oracle')),
                'threshold': _pick(metrics['detection'], ('uncertainty', *CERTAINTY))}
    return found


def plain(value: Any) -> Any:
    """Return tensors, and what holds them, as Python values; None for what is not finite."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pick(metric: dict[str, torch.Tensor], keys: tuple[str, ...]) -> dict[str, torch.Tensor]:
    return {key: metric[key] for key in keys}


def _ranking(results: Results) -> dict[str, torch.Tensor]:
    return {'ause': results['sparsification']['ause'], **_pick(results['detection'], DETECTION)}


def _uncertainty_seen(results: Results) -> bool:
    # Of invalid pixels alone nothing can be said.
    return any(int(results['mean'][name]) for name in CELLS[:4])
