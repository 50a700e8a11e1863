# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Average the weights of networks that were trained on from the same start: one network again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
from pathlib import Path
import sys

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    load_checkpoint,
    save_checkpoint,
)
from emu_perception.errors import InputError
import torch

from .arguments.average import parser
from .command_line import run
from .evaluation.measuring import file_hash
from .runs.ancestry import ancestors_of

# Fields of the documents in which averaged networks have to agree.
ALIKE = ('architecture', 'input_size', 'classes', 'mean', 'std', 'depth_min', 'depth_max',
         'intrinsics')
# Of their provenance: else it could not be told what the average has learned from.
ALIKE_SOURCES = ('data_set', 'split')


def average(checkpoints: Sequence[Path], weights: Sequence[float],
            out: Path) -> CheckpointMetadata:
    """
    Write the average of networks, without calibration, and return its document.

    :param weights: one for each, above 0; only their ratios count.
    :raises EmuError: if a file cannot be used, or one differs from the first in what must agree.
    """
    if len(checkpoints) < 2:
        raise InputError('--checkpoint: give two or more to average')
    if len(weights) != len(checkpoints):
        raise InputError(f'--weight is given {len(weights)} times for {len(checkpoints)} '
                         'checkpoints: give one for each, or none')
    for weight in weights:
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f'--weight is {weight:g}: give a number above 0')
    network, metadata = load_checkpoint(checkpoints[0])
    total, share = network.state_dict(), [weight / sum(weights) for weight in weights]
    summed = {name: _part(values, share[0]) for name, values in total.items()}
    ancestors, documents = [_ancestor(checkpoints[0], metadata, share[0])], [metadata]
    for path, part in zip(checkpoints[1:], share[1:]):
        other, own = load_checkpoint(path)
        _check_alike(path, own, checkpoints[0], metadata)
        for name, values in other.state_dict().items():
            summed[name] = summed[name] + _part(values, part)
        ancestors.append(_ancestor(path, own, part))
        documents.append(own)
    network.load_state_dict({name: values.to(total[name].dtype)
                             for name, values in summed.items()})
    metadata = replace(metadata, name=out.stem, calibration=Calibration(), statistics={},
                       metrics={}, provenance={
                           **metadata.provenance, 'averaged': ancestors,
                           'ancestors': ancestors_of(('averaged', one) for one in documents)})
    metadata.provenance.pop('calibration', None)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out, network, metadata)
    return metadata


def _part(values: torch.Tensor, share: float) -> torch.Tensor:
    return values.double() * share  # Counters of batches too: they are cut to whole numbers.


def _ancestor(path: Path, metadata: CheckpointMetadata, share: float) -> dict[str, object]:
    return {'name': metadata.name, 'sha256': file_hash(path), 'share': share,
            'recipe': metadata.provenance.get('recipe'),
            'git_commit': metadata.provenance.get('git_commit')}


def _check_alike(path: Path, metadata: CheckpointMetadata, first: Path,
                 expected: CheckpointMetadata) -> None:
    for name in ALIKE:
        if getattr(metadata, name) != getattr(expected, name):
            raise InputError(f"{path}: field '{name}' is {getattr(metadata, name)}, that of "
                             f'{first} is {getattr(expected, name)}: only networks of one kind '
                             'can be averaged')
    for name in ALIKE_SOURCES:
        mine, its = metadata.provenance.get(name), expected.provenance.get(name)
        if mine != its:
            raise InputError(f"{path}: field 'provenance.{name}' is {mine}, that of {first} is "
                             f'{its}: average networks that learned from the same images')


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        weights = options.weight or [1.0] * len(options.checkpoint)
        metadata = average(options.checkpoint, weights, options.out)
        print(f'wrote {options.out}, {metadata.name}: the average of {len(weights)} networks, '
              'not calibrated')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
