# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON document of a checkpoint: from metadata to text and back, checked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
import json
from pathlib import Path
from typing import Any

from emu_perception import __version__
from emu_perception.checkpoint.fields import FIELDS
from emu_perception.checkpoint.metadata import CheckpointMetadata
from emu_perception.errors import CheckpointError, InputError
from emu_perception.maps import MAPS
from emu_perception.networks.families import family_of
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.promises.constants import most_promised
from emu_perception.scores import SCORES
from emu_perception.whole_files import finite

# What is written; the versions that are read are those of FIELDS.
FORMAT_VERSION = 2
KEY = 'emu_perception'
Shapes = dict[str, tuple[int, ...]]
# (field, problem) -> the error that names the file too.
Wrong = Callable[[str, str], CheckpointError]


def one_line(text: str) -> CheckpointError:
    """Return the error with its text on one line, whatever the parts of it bring along."""
    return CheckpointError(' '.join(text.splitlines()))


def to_text(metadata: CheckpointMetadata, path: Path) -> str:
    """
    Return the document as JSON.

    :raises CheckpointError: if it could not be read back.
    """
    shapes = {name: array.shape for name, array in metadata.statistics.items()}
    document = {'format_version': FORMAT_VERSION,
                **asdict(replace(metadata, statistics={})), 'statistics': shapes}
    if not metadata.calibration.promises:
        # What has none stays readable for who has the version before they came.
        del document['calibration']['promises']
    text = _to_json(document, path)
    from_text(text, path)
    return text


def from_text(text: str, path: Path) -> tuple[CheckpointMetadata, Shapes]:
    """
    Return the metadata of a document, without the arrays, and the arrays' shapes by name.

    :raises CheckpointError: if it is not JSON, of another version, or a field cannot be used.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise one_line(f"{path}: field '{KEY}': not JSON ({error})") from error

    def wrong(name: str, problem: str) -> CheckpointError:
        return one_line(f"{path}: field '{name}' {problem}")

    if not isinstance(document, dict):
        raise wrong(KEY, f'is {type(document).__name__}, not an object')
    version = document.pop('format_version', None)
    if not isinstance(version, int) or isinstance(version, bool) or version not in FIELDS:
        raise wrong('format_version', f'is {str(version)[:80]}; this package reads '
                    f'{" and ".join(map(str, FIELDS))}: export the checkpoint with this version, '
                    'or install its version')
    values = _converted(document, version, wrong)
    shapes = values.pop('statistics', {})
    metadata = CheckpointMetadata(**values)
    if version == 1:
        metadata = _with_origin(metadata)
    _check(metadata, wrong)
    return metadata, shapes


def _converted(document: dict[str, Any], version: int, wrong: Wrong) -> dict[str, Any]:
    convert = FIELDS[version]
    for name in document:
        if name not in convert:
            raise wrong(name, f'is not known to format {version}: remove it, or install the '
                        'version that wrote it')
    for name in ('architecture', 'input_size'):
        if name not in document:
            raise wrong(name, 'is missing: the file was edited; export it again')
    values = {}
    for name, value in document.items():
        try:
            values[name] = convert[name](value)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise wrong(name, f'is {str(value)[:80]}: {error}') from error
    return values


def _with_origin(metadata: CheckpointMetadata) -> CheckpointMetadata:
    """Return a document of format 1, which said elsewhere what the thresholds were fitted on."""
    origin = metadata.provenance.get('thresholds')
    calibration = metadata.calibration
    return replace(metadata, calibration=replace(calibration, scores={
        name: replace(fitted, fitted_on=origin if isinstance(origin, Mapping) else {})
        for name, fitted in calibration.scores.items()}))


def _check(metadata: CheckpointMetadata, wrong: Wrong) -> None:
    architecture = metadata.architecture
    if not isinstance(architecture.get('tasks'), list) or not architecture['tasks']:
        raise wrong('architecture.tasks', f"is {architecture.get('tasks')}; give a list of tasks")
    try:
        family_of(architecture)
    except InputError as error:
        raise wrong('architecture', f'cannot be used: {error}') from error
    if SEGMENTATION in metadata.tasks:
        classes = architecture.get('num_classes')
        for name in ('classes', 'palette'):
            if len(getattr(metadata, name)) != classes:
                raise wrong(name, f'has {len(getattr(metadata, name))} entries, '
                            f'architecture.num_classes is {classes}')
    if DEPTH in metadata.tasks and not 0 <= metadata.depth_min < metadata.depth_max:
        raise wrong('depth_min', f'is {metadata.depth_min} and depth_max {metadata.depth_max}: '
                    'no range of metres')
    if any(not 32 <= side <= 8192 or side % 32 for side in metadata.input_size):
        raise wrong('input_size', f'is {list(metadata.input_size)}; both must be multiples of 32, '
                    '8192 at most')
    _check_scores(metadata, wrong)
    _check_promises(metadata, wrong)
    _check_instances(metadata, wrong)


def _check_scores(metadata: CheckpointMetadata, wrong: Wrong) -> None:
    for name in metadata.calibration.scores:
        if name not in SCORES:
            # Read without it, the flag would be silent where its maker meant it to be raised.
            versions = metadata.provenance.get('versions')
            writer = versions.get('emu_perception') if isinstance(versions, dict) else None
            raise wrong('calibration', f"judges by the score '{name[:80]}', which emu_perception "
                        f'{__version__} does not know: install the version that wrote the file'
                        f'{f" ({writer})" if writer else ""}, or a newer one')


def _check_promises(metadata: CheckpointMetadata, wrong: Wrong) -> None:
    for name, promise in metadata.calibration.promises.items():
        row = MAPS.get(name)
        if row is None or row.made is None or row.task not in metadata.tasks:
            raise wrong('calibration', f"promises '{name[:80]}', which emu_perception "
                        f'{__version__} does not know of the tasks {", ".join(metadata.tasks)}: '
                        'calibrate it again, or install the version that wrote the file')
        for one in promise.levels:
            if len(one.factors) != row.factors:
                raise wrong('calibration', f'promises {name} at {one.level:g} by '
                            f'{len(one.factors)} factors, not {row.factors}: the file was '
                            'edited; calibrate it again')
            if one.promised and one.level > most_promised(promise.groups):
                raise wrong('calibration', f'promises {name} at {one.level:g}, but with '
                            f'{promise.groups} groups a promise ends at '
                            f'{most_promised(promise.groups):.4g}: the file was edited; '
                            'calibrate it again')


def _check_instances(metadata: CheckpointMetadata, wrong: Wrong) -> None:
    settings, classes = metadata.instances, metadata.architecture.get('num_classes')
    if (settings is not None) != metadata.finds_instances:
        raise wrong('instances', 'is missing: with the tasks segmentation and instance it says '
                    'which classes are things; export the checkpoint again'
                    if settings is None else
                    f'is there, but architecture.tasks is {list(metadata.tasks)}: instances need '
                    'segmentation and instance; remove it')
    if settings is not None and max(settings.things, default=0) >= len(metadata.classes):
        raise wrong('instances', f'names class {max(settings.things)} in things, '
                    f'architecture.num_classes is {classes}')


def _to_json(document: dict[str, Any], path: Path) -> str:
    parts = []
    for name, value in document.items():
        try:
            parts.append(f'{json.dumps(name)}: {json.dumps(finite(value), allow_nan=False)}')
        except (TypeError, ValueError) as error:
            raise one_line(
                f"{path}: field '{name}' cannot be written as JSON ({error})") from error
    return f'{{{", ".join(parts)}}}'
