# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Average the weights of networks that were trained on from the same start: one network again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import logging
import math
from pathlib import Path
import sys

from emu_perception.checkpoint import CheckpointMetadata, load_checkpoint, save_checkpoint
from emu_perception.commands.sizes import size_of
from emu_perception.errors import InputError
from emu_perception.foreign_files import reading
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH
import torch

from .arguments.average import parser
from .command_line import check_apart, run
from .data.networks_apart import networks_apart
from .data.steps import averaged, in_words, steps_of
from .evaluation.measuring import file_hash
from .runs.ancestry import ancestors_of, with_other_weights

LOGGER = logging.getLogger('training')
# Fields of the documents in which averaged networks have to agree.
ALIKE = ('architecture', 'input_size', 'classes', 'mean', 'std', 'depth_min', 'depth_max',
         'intrinsics')
# Of their provenance: else it could not be told what the average has learned from.
ALIKE_SOURCES = ('data_set', 'split')


def average(checkpoints: Sequence[Path], weights: Sequence[float], out: Path,
            input_size: tuple[int, int] | None = None,
            depth_factors: Sequence[float] = ()) -> CheckpointMetadata:
    """
    Write the average of networks, without calibration, and return its document.

    :param weights: one for each, above 0; only their ratios count.
    :param input_size: (height, width) of the average; None = that of all networks.
    :param depth_factors: one for each, to the metres of its depths before it is averaged; none =
        all 1.
    :raises EmuError: if a file cannot be used, or one differs from the first in what must agree.
    """
    if len(checkpoints) < 2:
        raise InputError('--checkpoint: give two or more to average')
    factors = list(depth_factors) or [1.0] * len(checkpoints)
    _check_one_each('--weight', weights, checkpoints)
    _check_one_each('--depth-factor', factors, checkpoints)
    check_apart(out, checkpoints)
    hashes = _different(checkpoints)
    network, metadata = load_checkpoint(checkpoints[0])
    _scale_depth(network, metadata, factors[0])
    alike = tuple(name for name in ALIKE if input_size is None or name != 'input_size')
    total, share = network.state_dict(), [weight / sum(weights) for weight in weights]
    summed = {name: _part(values, share[0]) for name, values in total.items()}
    ancestors = [_ancestor(hashes[0], metadata, share[0], factors[0])]
    documents = [metadata]
    for path, sha256, part, factor in zip(checkpoints[1:], hashes[1:], share[1:], factors[1:],
                                          strict=True):
        other, own = load_checkpoint(path)
        _check_alike(path, own, checkpoints[0], metadata, alike)
        _scale_depth(other, own, factor)
        for name, values in other.state_dict().items():
            summed[name] = summed[name] + _part(values, part)
        ancestors.append(_ancestor(sha256, own, part, factor))
        documents.append(own)
    if not set.intersection(*map(_begun_from, documents)):
        LOGGER.warning('%s: no start that all of these have in common is known: the middle of '
                       'networks that began apart, as members of an ensemble do, knows nothing: '
                       'evaluate it', out)
    network.load_state_dict({name: values.to(total[name].dtype)
                             for name, values in summed.items()})
    metadata = replace(
        with_other_weights(metadata, out.stem, averaged=ancestors, steps=_steps(documents),
                           ancestors=ancestors_of(('averaged', one) for one in documents)),
        input_size=input_size or metadata.input_size)
    save_checkpoint(out, network, metadata)
    return metadata


def _check_one_each(option: str, values: Sequence[float], checkpoints: Sequence[Path]) -> None:
    if len(values) != len(checkpoints):
        raise InputError(f'{option} is given {len(values)} times for {len(checkpoints)} '
                         'checkpoints: give one for each, or none')
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise InputError(f'{option} is {value:g}: give a number above 0')


def _different(checkpoints: Sequence[Path]) -> list[str]:
    """Return the hash of each file; one that is given twice would count twice, unsaid."""
    found: dict[str, Path] = {}
    for path in checkpoints:
        with reading():
            sha256 = file_hash(path)
        if sha256 in found:
            raise InputError(f'--checkpoint {path}: is the same network as {found[sha256]}: give '
                             'each once; --weight lets one count more')
        found[sha256] = path
    return [*found]


def _begun_from(metadata: CheckpointMetadata) -> set[str]:
    """Return the names of a network and of those that it was trained on from."""
    return {metadata.name, *(str(ancestor.get('name')) for ancestor in
                             metadata.provenance.get('ancestors') or ()
                             if ancestor.get('role') != 'teacher')}


def _part(values: torch.Tensor, share: float) -> torch.Tensor:
    return values.double() * share  # Counters of batches too: they are cut to whole numbers.


def _steps(documents: Sequence[CheckpointMetadata]) -> list[str]:
    """Return what was done to make the average: where the networks' ways differ, all of them."""
    ways = list(dict.fromkeys(in_words(steps_of(one)) for one in documents))
    if len(ways) == 1:
        return [*steps_of(documents[0]), averaged(len(documents))]
    return [f'{averaged(len(documents))} ({"; ".join(way or "not said" for way in ways)})']


@torch.no_grad()
def _scale_depth(network: Network, metadata: CheckpointMetadata, factor: float) -> None:
    """Multiply a network's depths, which its last layer alone decides of."""
    if factor == 1:
        return
    if DEPTH not in metadata.tasks:
        raise InputError(f'--depth-factor is {factor:g}: {metadata.name} gives no depth: leave '
                         'it out')
    network.scale_depth(factor, metadata.architecture)


def _ancestor(sha256: str, metadata: CheckpointMetadata, share: float,
              factor: float) -> dict[str, object]:
    return {'name': metadata.name, 'sha256': sha256, 'share': share,
            **({} if factor == 1 else {'depth_factor': factor}),
            'recipe': metadata.provenance.get('recipe'),
            'git_commit': metadata.provenance.get('git_commit')}


def _check_alike(path: Path, metadata: CheckpointMetadata, first: Path,
                 expected: CheckpointMetadata, names: Sequence[str]) -> None:
    for name in names:
        if getattr(metadata, name) != getattr(expected, name):
            raise InputError(f'{path}: {networks_apart(name, metadata, expected, first)}: only '
                             'networks of one kind can be averaged')
    for name in ALIKE_SOURCES:
        mine, its = metadata.provenance.get(name), expected.provenance.get(name)
        if mine != its:
            raise InputError(f"{path}: field 'provenance.{name}' is {mine}, that of {first} is "
                             f'{its}: average networks that learned from the same images')
    mine, its = (one.provenance.get('balanced', {}).get('tau', 0) for one in (metadata, expected))
    if mine != its:
        raise InputError(f'{path}: is balanced with tau {mine:g}, {first} with {its:g} (0: not at '
                         'all): average first, then balance')


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        weights = options.weight or [1.0] * len(options.checkpoint)
        size = None if options.input_size is None else size_of(
                options.input_size, '--input-size')
        metadata = average(options.checkpoint, weights, options.out, size, options.depth_factor)
        print(f'wrote {options.out}, {metadata.name}: the average of {len(weights)} networks, '
              'not calibrated')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
