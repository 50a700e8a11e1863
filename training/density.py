# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How a network's depths err, as a Gaussian or a log-normal, and a checkpoint that says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import (
    CheckpointMetadata,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.networks.depth_forms import DEPTH_FORMS, DepthForm
from emu_perception.networks.families import build_network, family_of
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork
from emu_perception.normal_distribution import half_width
from rich.progress import track
import torch
from torchmetrics import Metric

from .arguments.density import parser, READINGS
from .command_line import (
    check_apart,
    check_counts,
    check_writable,
    evenly_spaced,
    run,
    write_result,
)
from .data.dataset_folder import DatasetFolder, training_focal
from .data.leakage import check_unseen
from .data.steps import read_as, steps_of
from .data.unknown_camera import warn_of_camera
from .evaluation.measuring import file_hash
from .methods.ensemble import Ensemble
from .metrics.gaussian_scores import GaussianScores, VARIANCE_FLOOR

LEVEL = 0.9
_Z = half_width(LEVEL)


class Tails(Metric):
    """
    Which share of the true depths lies before, and beyond, the central interval of ``LEVEL``.

    :param form: what the density is.
    """

    full_state_update = False

    def __init__(self, form: DepthForm) -> None:
        super().__init__()
        self.form = form
        for name in ('nearer', 'farther', 'total'):
            self.add_state(name, torch.tensor(0), dist_reduce_fx='sum')
        self.nearer: torch.Tensor
        self.farther: torch.Tensor
        self.total: torch.Tensor

    def update(self, mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor) -> None:
        """Add pixels: metres, m² and true metres (0 = invalid), of one shape."""
        known = depth > 0
        mean, variance, depth = self.form.as_gaussian(*(
            part[known].double() for part in (mean, variance.clamp(min=VARIANCE_FLOOR), depth)))
        off = (depth - mean) / variance.sqrt()
        self.nearer += (off < -_Z).sum()
        self.farther += (off > _Z).sum()
        self.total += off.numel()

    def compute(self) -> dict[str, torch.Tensor]:
        """Return the shares nearer and farther."""
        return {'nearer': self.nearer / self.total, 'farther': self.farther / self.total}


def measure(checkpoint: Path, folder: DatasetFolder, stems: Iterable[str],
            device: torch.device | str = 'cpu') -> dict[str, dict[str, float]]:
    """
    Return NLL (nats, in metres), coverage of 90 % and both tails of each reading, by its name.

    :param stems: of images with true depth, none of which the network was trained on.
    :raises EmuError: if a file cannot be used, or no image has a true depth.
    """
    ensemble = Ensemble([checkpoint], samples=1, device=device)
    metrics = {name: (GaussianScores(DEPTH_FORMS[name]), Tails(DEPTH_FORMS[name]))
               for name in READINGS}
    focal = training_focal(folder)
    for stem in stems:
        example = folder.example(stem)
        if example.depth is None:
            continue
        moments = ensemble.predict(example.image, focal=focal)
        assert moments.depth is not None and moments.depth_variance is not None
        for each in metrics.values():
            for metric in each:
                metric.update(moments.depth[0].cpu(), moments.depth_variance[0].cpu(),
                              torch.from_numpy(example.depth))
    if not int(metrics[READINGS[0]][1].total):
        raise InputError(f'{folder.root}: no image has a true depth: there is nothing to measure')
    return {name: {'nll': float(scores.compute()['nll']),
                   'coverage_90': float(scores.compute()['coverage_90']),
                   **{side: float(share) for side, share in tails.compute().items()}}
            for name, (scores, tails) in metrics.items()}


def said(checkpoint: Path, reading: str, out: Path) -> CheckpointMetadata:
    """
    Write a checkpoint that says another reading; maps, calibration and thresholds stay.

    :param checkpoint: one that ``check_readable`` has nothing against.
    :param reading: of ``READINGS``.
    :return: its document, whose measured figures are gone: they were of the other reading.
    :raises EmuError: if the file cannot be used.
    """
    network, metadata = load_checkpoint(checkpoint)
    architecture = {**metadata.architecture, 'depth_output': reading}
    same = build_network(architecture)
    same.load_state_dict(network.state_dict())
    provenance = {**metadata.provenance,
                  'density': {'depth_output': reading, 'name': metadata.name,
                              'sha256': file_hash(checkpoint)},
                  'steps': [*steps_of(metadata), read_as(reading)]}
    metadata = replace(metadata, name=out.stem, architecture=same.arguments, metrics={},
                       provenance=provenance)
    save_checkpoint(out, same, metadata)
    return metadata


def check_readable(path: Path, metadata: CheckpointMetadata) -> None:
    """
    Check that a network's depth channels can be read either way.

    :raises InputError: if it has none, or they say logarithms or inverse depths.
    """
    if DEPTH not in metadata.tasks or not issubclass(family_of(metadata.architecture),
                                                     MultitaskNetwork):
        raise InputError(f'{path}: has no depth with a variance in metres to read')
    if metadata.depth_form.logarithmic:
        raise InputError(f'{path}: its depth_output is {metadata.depth_form.name}: its density is '
                         'a log-normal already')


def lines(figures: Mapping[str, Mapping[str, float]], own: str) -> list[str]:
    """Return the figures as a table for people."""
    return [f'{"":22}{"NLL":>7}{"90 % interval holds":>22}{"nearer than it":>17}{"farther":>10}',
            *(f'{name + (" (as it is)" if name == own else ""):22}{row["nll"]:7.3f}'
              f'{row["coverage_90"]:22.3f}{row["nearer"]:17.3f}{row["farther"]:10.3f}'
              for name, row in figures.items())]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    reader = parser()
    options = reader.options(arguments)

    def command() -> None:
        check_counts(options, 'limit')
        check_writable(options.json)
        if options.reading and options.out is None:
            raise InputError('--as says what --out is to say, and there is no --out')
        metadata = read_metadata(options.checkpoint)
        check_readable(options.checkpoint, metadata)
        if options.out is not None:
            check_apart(options.out, [options.checkpoint])
        folder = DatasetFolder(options.data)
        check_unseen(options.checkpoint, metadata, folder, options.split)
        warn_of_camera(folder, metadata)
        stems = evenly_spaced(folder.stems(options.split), options.limit)
        figures = measure(options.checkpoint, folder,
                          track(stems, 'density', disable=options.no_progress),
                          resolved_device(options.device))
        print('\n'.join(lines(figures, metadata.depth_form.name)))
        result: dict[str, Any] = {
            'checkpoint': options.checkpoint.name, 'data_set': folder.name,
            'split': options.split, 'images': len(stems), 'level': LEVEL, 'densities': figures,
            'command': reader.command(arguments)}
        write_result(options.json, result)
        if options.out is not None:
            reading = options.reading or min(figures, key=lambda name: figures[name]['nll'])
            said(options.checkpoint, reading, options.out)
            print(f'wrote {options.out}, depth_output {reading}: evaluate it anew')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
