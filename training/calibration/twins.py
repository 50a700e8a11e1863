# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Constants for a network that was trained on all images, from its twin that was not.

Two networks of one recipe are as sure as one another, near enough; on images that it has learned
from, the one would be found surer than it is elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from emu_perception.checkpoint import load_checkpoint, Promise, save_checkpoint
from emu_perception.errors import InputError

from ..data.networks_apart import networks_apart
from ..evaluation.measuring import file_hash
from ..recipes.earlier_names import renamed
from ..recipes.options import by_field

# Where things are, what chance decides, and how fast it goes.
MAY_DIFFER = ('name', 'output', 'data', 'train_on', 'seed', 'workers', 'devices', 'nodes', 'views',
              'cache_images', 'cache_features', 'cache_features_gb', 'max_minutes',
              'validate_every', 'validation_images', 'risk_percentile',
              'emuformer.teacher', 'network.initial_weights')


def take_constants(checkpoint: Path, twin: Path, out: Path) -> dict[str, Any]:
    """
    Write ``out`` with the constants of a twin: the same recipe, trained without the split.

    :raises EmuError: if the two do not fit together, or the twin has no constants.
    """
    network, metadata = load_checkpoint(checkpoint)
    other = load_checkpoint(twin)[1]
    for name in ('architecture', 'classes', 'input_size', 'depth_min', 'depth_max',
                 'intrinsics'):
        if getattr(metadata, name) != getattr(other, name):
            raise InputError(f'--constants-of {twin}: '
                             f'{networks_apart(name, other, metadata, checkpoint)}: they are no '
                             'twins')
    mine, its = (_recipe_fields(part.provenance) for part in (metadata, other))
    for name in sorted(mine.keys() | its.keys()):
        if mine.get(name) != its.get(name):
            raise InputError(f"--constants-of {twin}: field '{name}' of its recipe is "
                             f'{its.get(name)}, that of {checkpoint} is {mine.get(name)}: they '
                             'are no twins')
    done = other.provenance.get('calibration')
    if not done or other.provenance.get('split') != 'train' \
            or done['data_set'] != other.provenance.get('data_set'):
        raise InputError(f'--constants-of {twin}: is not calibrated on images it has not seen: '
                         'train it on train, and run emu calibrate on it')
    # What is fitted to the twin's own maps says nothing of this network's.
    calibration = other.without_fitted_scores().calibration
    calibration = replace(calibration, promises=unpromised(calibration.promises))
    save_checkpoint(out, network, replace(
        metadata.without_fitted_scores(), calibration=calibration, provenance={
            **metadata.provenance, 'calibration': {
                **done, 'twin': other.name, 'twin_sha256': file_hash(twin)}}))
    return {'checkpoint': out.name, 'twin': twin.name, **asdict(calibration)}


def unpromised(promises: Mapping[str, Promise]) -> dict[str, Promise]:
    """Return a twin's promises as what they are of another network: calibrated, not promised."""
    return {name: replace(promise, levels=tuple(replace(one, promised=False)
                                                for one in promise.levels))
            for name, promise in promises.items()}


def _recipe_fields(provenance: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {'data_set': provenance.get('data_set')}
    fields.update(by_field(renamed(provenance.get('recipe', {}))))
    return {name: value for name, value in fields.items() if name not in MAY_DIFFER}
