# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Calibrate a checkpoint on images it was not trained on.

python -m training.calibrate --checkpoint F --data DIR --split val [--out F2] [--json OUT]

Fits the temperature of the softmax (smallest NLL), the scale of the depth variance (smallest
Gaussian NLL), and the risk thresholds (a percentile of these images' mean uncertainties), and
writes them into the checkpoint. Says ECE, NLL and interval coverage before and after.
"""

from __future__ import annotations

from dataclasses import replace
import json
import logging
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import Calibration, load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor, resolved_device
import numpy as np
from rich.progress import track
import torch
from torch.nn import functional as F
from training.command_line import check_writable, command_parser, run
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.evaluate import evaluate
from training.methods.ensemble import Ensemble
from training.risk_thresholds import risk_thresholds, training_focal

LOGGER = logging.getLogger('training')
# Neighbouring pixels say the same: some of each image are enough for one number.
PIXELS = 400_000
TEMPERATURES = (0.05, 20.0)
SHOWN = {'segmentation': ('ece', 'nll', 'brier'),
         'depth': ('nll', 'coverage_50', 'coverage_90', 'coverage_95', 'calibration_error')}


def best_temperature(logits: torch.Tensor, label: torch.Tensor) -> float:
    """
    Return the T that minimises the cross-entropy of logits / T (Guo et al. 2017).

    The loss is convex in 1/T and so has one minimum; it is cut in by golden sections.

    :param logits: [N, K].
    :param label: [N], the true classes.
    """
    def loss(log_t: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_t)), label))

    low, high = (float(np.log(bound)) for bound in TEMPERATURES)
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


class VarianceScale:
    """
    The factor c that minimises the Gaussian NLL with variance c·s²: the mean of (y - mu)²/s².

    Streamed in float64.
    """

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor) -> None:
        """Add an image: metres, m², metres with 0 = invalid, each [H, W]."""
        valid = depth > 0
        z2 = (depth - mean)[valid].double().square() / variance[valid].double()
        self.total += float(z2.sum())
        self.count += int(valid.sum())

    def value(self) -> float:
        """Return c; 1 where no depth was known."""
        return self.total / self.count if self.count else 1.0


def fit_calibration(ensemble: Ensemble, folder: DatasetFolder, stems: list[str],
                    before: Calibration, progress: bool = True) -> Calibration:
    """
    Return temperature and variance scale of a checkpoint, whose own must be 1.

    :param before: what the checkpoint had: kept for a task of which there is no truth.
    :raises DatasetError: if there is no truth for any task of the checkpoint.
    """
    if not {'segmentation', 'depth'} & set(ensemble.tasks):
        raise InputError(f'{ensemble.members[0].path}: has no task that can be calibrated, only '
                         + ', '.join(ensemble.tasks))
    logits, labels, scale = [], [], VarianceScale()
    per_image = max(1, PIXELS // len(stems))
    rng = np.random.default_rng(0)
    for stem in track(stems, 'calibrate', disable=not progress):
        sample = folder.sample(stem)
        moments = ensemble.predict(sample.image, focal=training_focal(folder))
        if moments.probabilities is not None and sample.label is not None:
            label = torch.from_numpy(sample.label).flatten().long()
            labelled = torch.nonzero(label < len(ensemble.classes)).squeeze(1).numpy()
            chosen = rng.choice(labelled, min(per_image, len(labelled)), replace=False)
            # The softmax of a logarithm of a softmax is itself: as good as the logits.
            p = moments.probabilities[0].flatten(1)[:, chosen].T.cpu()
            logits.append(p.clamp(min=1e-30).log())
            labels.append(label[chosen])
        if moments.depth is not None and moments.depth_variance is not None \
                and sample.depth is not None:
            scale.add(moments.depth[0].cpu(), moments.depth_variance[0].cpu(),
                      torch.from_numpy(sample.depth))
    known = {'segmentation': sum(map(len, labels)), 'depth': scale.count}
    if not any(known.get(task) for task in ensemble.tasks):
        raise DatasetError(f'{folder.root}: none of the {len(stems)} images has truth for what '
                           'the checkpoint predicts')
    for task in ensemble.tasks:
        if not known.get(task, True):
            LOGGER.warning('%s: no truth for %s: its calibration stays as it was', folder.root,
                           task)
    return Calibration(
        temperature=best_temperature(torch.cat(logits), torch.cat(labels))
        if known['segmentation'] else before.temperature,
        variance_scale=scale.value() if scale.count else before.variance_scale)


def calibrate(checkpoint: Path, folder: DatasetFolder, split: str, out: Path, *,
              percentile: float = 95.0, device: str = 'auto',
              progress: bool = True) -> dict[str, Any]:
    """
    Write ``out``, calibrated on a split.

    :return: the constants, and metrics on these very images before and after.
    :raises EmuError: if a file cannot be used.
    """
    network, metadata = load_checkpoint(checkpoint)
    if network.num_heads > 1:
        raise InputError(f'{checkpoint}: is a sub-ensemble; calibrate what is distilled from it')
    stems = folder.stems(split)
    found = str(resolved_device(device))
    ensemble = Ensemble([checkpoint], method='deterministic', device=found)
    member = ensemble.members[0]
    # Fitted from nothing: what an earlier calibration left would be fitted upon.
    member.metadata = replace(metadata, calibration=Calibration())
    calibration = fit_calibration(ensemble, folder, stems, metadata.calibration, progress)
    before = evaluate(ensemble, folder, stems, progress=progress, cluster=False)
    metadata = replace(metadata, calibration=calibration, provenance={
        **metadata.provenance, 'calibration': {
            'data_set': folder.name, 'split': split, 'images': len(stems)}})
    member.metadata = metadata
    after = evaluate(ensemble, folder, stems, progress=progress, cluster=False)
    predictor = Predictor(network, replace(metadata, instances=None), device=found)
    calibration = risk_thresholds(
        predictor, folder, track(stems, 'risk thresholds', disable=not progress), percentile)
    save_checkpoint(out, network, replace(metadata, calibration=calibration))
    return {'checkpoint': out.name, 'data_set': folder.name, 'split': split,
            'images': len(stems), 'temperature': calibration.temperature,
            'variance_scale': calibration.variance_scale,
            'risk_segmentation': calibration.risk_segmentation,
            'risk_depth': calibration.risk_depth, 'risk_percentile': percentile,
            'before': _shown(before), 'after': _shown(after)}


def _shown(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {task: {name: result[task][name] for name in names}
            for task, names in SHOWN.items() if task in result}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = command_parser('calibrate', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', required=True, help='data set folder')
    parser.add_argument('--split', default='val', help='not what it was trained on; default val')
    parser.add_argument('--out', type=Path, help='default: the checkpoint itself')
    parser.add_argument('--percentile', type=float, default=95.0,
                        help='of these images stay below each risk threshold; default 95')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, help='write constants and metrics here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    options = parser.parse_args(arguments)

    def command() -> None:
        if not 1 <= options.percentile <= 100:
            raise InputError(f'--percentile is {options.percentile:g}: give 1 to 100')
        if options.split == 'train':
            raise InputError("--split is 'train': a network is surer of what it was trained on; "
                             'give val')
        out = options.out or options.checkpoint
        for path in (options.json, out):
            check_writable(path)
        result = calibrate(options.checkpoint, DatasetFolder(options.data), options.split, out,
                           percentile=options.percentile, device=options.device,
                           progress=not options.no_progress)
        print(f"temperature {result['temperature']:.4f}, variance scale "
              f"{result['variance_scale']:.4f}, thresholds {result['risk_segmentation']} nat, "
              f"{result['risk_depth']} m")
        for task, names in result['before'].items():
            for name, value in names.items():
                print(f"{task} {name}: {value:.4f} -> {result['after'][task][name]:.4f}")
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(result, indent=1) + '\n')
        print(f'wrote {out}')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
