# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure checkpoints on a split, through the same Predictor that a robot runs.

python -m training.evaluate --checkpoint F --data DIR --split val --json OUT [--trivial]

Maps are compared at the images' full size, pooled over all pixels. The trivial baselines (the
most frequent class everywhere; the mean depth map of the training images) say what a number is
worth.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import logging
import math
from pathlib import Path
import sys
from typing import Any

import numpy as np
from rich.progress import track
import torch
from torchmetrics import Metric

from emu_perception.checkpoint import load_checkpoint
from emu_perception.errors import EmuError
from emu_perception.predictor import Predictor
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.metrics.depth import DepthErrors
from training.metrics.segmentation import ConfusionMatrix
from training.risk_thresholds import training_fx


class Scores:
    """Pooled metrics of label and depth maps against a data set folder's truth."""

    def __init__(self, classes: int) -> None:
        self.confusion = ConfusionMatrix(max(1, classes))
        self.depth = DepthErrors()
        self.seen = {'segmentation': False, 'depth': False}

    def add(self, label: np.ndarray | None, depth: np.ndarray | None,
            true_label: np.ndarray | None, true_depth: np.ndarray | None) -> None:
        """Add one image: labels uint8 [H, W]; depths float32 [H, W] in metres, truth 0 = none."""
        if label is not None and true_label is not None:
            self.confusion.update(torch.from_numpy(label), torch.from_numpy(true_label))
            self.seen['segmentation'] = True
        if depth is not None and true_depth is not None:
            self.depth.update(torch.from_numpy(depth), torch.from_numpy(true_depth))
            self.seen['depth'] = True

    def compute(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the tasks that were seen."""
        metrics: dict[str, Metric] = {'segmentation': self.confusion, 'depth': self.depth}
        return {task: {name: float(value) for name, value in metric.compute().items()}
                for task, metric in metrics.items() if self.seen[task]}


def evaluate(checkpoint: Path, folder: DatasetFolder, stems: list[str], *, device: str = 'auto',
             progress: bool = True) -> dict[str, Any]:
    """
    Return the metrics of a checkpoint on the given images.

    :raises EmuError: if the checkpoint or a file of the data set cannot be used.
    """
    network, metadata = load_checkpoint(checkpoint)
    if metadata.classes and folder.classes and metadata.classes != folder.classes:
        raise DatasetError(f'{folder.root}/dataset.yaml: its {len(folder.classes)} classes are '
                           f'not the {len(metadata.classes)} of {checkpoint}')
    # Errors are measured on what the network says: nothing is cut off beyond the range.
    predictor = Predictor(network, replace(metadata, depth_max=math.inf), device=device)
    scores = Scores(len(metadata.classes))
    means = []
    for stem in track(stems, f'{checkpoint.name}', disable=not progress):
        sample = folder.sample(stem)
        prediction = predictor(sample.image, fx=training_fx(folder))
        depth = prediction.depth
        scores.add(prediction.label, None if depth is None else np.nan_to_num(depth),
                   sample.label, sample.depth)
        means.append((prediction.mean_segmentation_entropy, prediction.mean_depth_sigma))
    result: dict[str, Any] = {**scores.compute(), 'images': len(stems)}
    for name, column in zip(('mean_segmentation_entropy', 'mean_depth_sigma'),
                            zip(*means, strict=True), strict=True):
        if column[0] is not None:
            result[name] = {f'p{q}': float(np.percentile(column, q)) for q in (5, 50, 95)}
    return result


def trivial(folder: DatasetFolder, stems: list[str], progress: bool = True) -> dict[str, Any]:
    """Return the metrics of the commonest class and the mean depth map of the training images."""
    counts = np.zeros(256, np.int64)
    total: np.ndarray | float = 0.0
    known: np.ndarray | float = 0.0
    for stem in track(folder.stems('train'), 'trivial: train', disable=not progress):
        sample = folder.sample(stem)
        if sample.label is not None:
            counts += np.bincount(sample.label.ravel(), minlength=256)
        if sample.depth is not None:
            total = total + sample.depth.astype(np.float64)
            known = known + (sample.depth > 0)
    majority = int(counts[:255].argmax())
    mean = (total / np.maximum(known, 1)).astype(np.float32) if folder.depth else None
    scores = Scores(len(folder.classes))
    for stem in track(stems, 'trivial: evaluate', disable=not progress):
        sample = folder.sample(stem)
        label = np.full(sample.image.shape[:2], majority, np.uint8) if folder.classes else None
        scores.add(label, mean, sample.label, sample.depth)
    result: dict[str, Any] = scores.compute()
    if folder.classes:
        result['majority_class'] = folder.classes[majority]
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m training.evaluate', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--checkpoint', required=True, type=Path)
    parser.add_argument('--data', required=True, help='data set folder')
    parser.add_argument('--split', default='val', help='default val')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--json', type=Path, help='write the metrics here')
    parser.add_argument('--trivial', action='store_true', help='measure the trivial baselines too')
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    try:
        folder = DatasetFolder(options.data)
        stems = folder.stems(options.split)
        result = {'checkpoint': options.checkpoint.name, 'data_set': folder.name,
                  'split': options.split,
                  **evaluate(options.checkpoint, folder, stems, device=options.device)}
        if options.trivial:
            result['trivial'] = trivial(folder, stems)
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
