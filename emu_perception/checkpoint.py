# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The self-describing checkpoint: one ``.safetensors`` file with a JSON document in its metadata.

The document says how to build the network, what its outputs mean, how they were calibrated and
where they come from. Nothing is pickled, so a checkpoint from a stranger cannot run code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
import json
import math
import os
from pathlib import Path
from typing import Any

from emu_perception.errors import CheckpointError, ForeignFileError, InputError
from emu_perception.instances import InstanceSettings
from emu_perception.intrinsics import Intrinsics
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import build_network, family_of, Network
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.visualization import default_palette
import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch

FORMAT_VERSION = 1
_KEY = 'emu_perception'


@dataclass(frozen=True)
class Calibration:
    """
    What was fitted after training, on images the network never saw.

    :ivar temperature: divides the logits.
    :ivar variance_scale: multiplies the depth variance.
    :ivar risk_segmentation: nats, threshold on an image's mean entropy; None = not calibrated.
    :ivar risk_depth: metres, threshold on an image's mean sigma; None = not calibrated.
    :ivar risk_percentile: the percentile of the calibration images the thresholds are.
    """

    temperature: float = 1.0
    variance_scale: float = 1.0
    risk_segmentation: float | None = None
    risk_depth: float | None = None
    risk_percentile: float | None = None


@dataclass(frozen=True)
class CheckpointMetadata:
    """
    The JSON document of a checkpoint.

    :ivar architecture: arguments of the network, with its ``family`` where that is not all_mlp.
    :ivar input_size: (height, width) of the training images at the network.
    :ivar classes: names by class index; empty without segmentation.
    :ivar palette: rgb by class index.
    :ivar mean: of the input's normalisation, 0..1, rgb.
    :ivar std: likewise.
    :ivar depth_min: metres, smallest depth of the training data.
    :ivar depth_max: metres, largest.
    :ivar intrinsics: camera of the training images; None = unknown.
    :ivar provenance: data set, split, recipe, commit, versions, licences.
    :ivar metrics: measured on the split the provenance names.
    :ivar instances: how votes become instances; None without the tasks for it.
    """

    architecture: dict[str, Any]
    input_size: tuple[int, int]
    name: str = ''
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ignore_index: int = 255
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    depth_min: float = 0.0
    depth_max: float = math.inf
    intrinsics: Intrinsics | None = None
    calibration: Calibration = field(default_factory=Calibration)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    instances: InstanceSettings | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the tasks of the network: some of 'segmentation', 'depth' and 'instance'."""
        return tuple(self.architecture['tasks'])

    @property
    def pixel_variance(self) -> bool:
        """Tell whether the depth variance is each pixel's own, not the whole task's noise."""
        return family_of(self.architecture).pixel_variance

    @property
    def finds_instances(self) -> bool:
        """Tell whether there is an instance map: votes, and labels to tell things by."""
        return SEGMENTATION in self.tasks and INSTANCE in self.tasks


def save_checkpoint(path: str | Path, network: Network, metadata: CheckpointMetadata,
                    *, half: bool = False) -> None:
    """
    Write a checkpoint; an existing file is replaced only once the new one is complete.

    :param network: its weights, in the trained (not folded) layout.
    :param metadata: its ``architecture`` is replaced by the network's own arguments.
    :param half: store matrices and kernels in float16; they are loaded as float32. Vectors (the
        norms' variances, which may leave float16's range, and the biases) stay as they are.
    :raises CheckpointError: if the metadata do not fit the network, a weight is not finite or the
        file cannot be written.
    """
    path = Path(path)
    document = {'format_version': FORMAT_VERSION,
                **asdict(metadata), 'architecture': network.arguments}
    if metadata.instances is None:
        # Versions that do not know the field refuse a file that has it.
        del document['instances']
    # Round trip: what could not be read back is refused before the file exists.
    text = _to_json(document, path)
    _parse(json.loads(text), path)
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        _check_finite(name, tensor, path)
        if half and tensor.is_floating_point() and tensor.ndim > 1:
            small = tensor.half()
            # A weight beyond float16's range would come back as infinite.
            tensor = small if torch.isfinite(small).all() else tensor
        tensors[name] = tensor
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={_KEY: text})
        with partial.open('rb') as file:
            # safetensors makes files that only their owner can read.
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())  # Else a power cut may leave the new name with no content.
        os.replace(partial, path)
    except (SafetensorError, OSError) as error:
        raise _error(f'{path}: cannot be written ({error})') from error
    finally:
        partial.unlink(missing_ok=True)


def read_metadata(path: str | Path) -> CheckpointMetadata:
    """
    Read only the document of a checkpoint.

    :raises CheckpointError: if the file is missing, truncated, of another version or not ours.
    """
    path = Path(path)
    with _open(path) as file:
        return _document(file, path)


def load_checkpoint(path: str | Path) -> tuple[Network, CheckpointMetadata]:
    """
    Read a checkpoint and build its network on the CPU, float32, in eval mode.

    :raises CheckpointError: as ``read_metadata``, or if the tensors do not fit the architecture.
    """
    path = Path(path)
    with _open(path) as file:
        metadata = _document(file, path)
        try:
            network = build_network(metadata.architecture)
        except Exception as error:  # torch and timm raise many kinds; all mean the same here.
            raise _error(f"{path}: field 'architecture': {error}") from error
        expected = network.state_dict()
        names = set(file.keys())
        for problem, odd in (('lacks', expected.keys() - names), ('has', names - expected.keys())):
            if odd:
                raise _error(
                    f"{path}: {problem} tensor '{min(odd)}' ({len(odd)} such) against its "
                    "'architecture': the file was made by another version or edited; export it "
                    'again')
        tensors = {}
        for name, target in expected.items():
            try:
                tensor = file.get_tensor(name)
            except Exception as error:  # safetensors and torch raise many kinds for one cause.
                raise _error(f"{path}: tensor '{name}' cannot be read ({error})") from error
            if (tensor.shape != target.shape
                    or tensor.is_floating_point() != target.is_floating_point()):
                raise _error(
                    f"{path}: tensor '{name}' is {_shape(tensor)}, its 'architecture' needs "
                    f'{_shape(target)}: the file was edited; export it again')
            tensors[name] = tensor.to(target.dtype)
            _check_finite(name, tensors[name], path)
    network.load_state_dict(tensors)
    return network.eval(), metadata


def _error(text: str) -> CheckpointError:
    """Return the error with its text on one line, whatever the parts of it bring along."""
    return CheckpointError(' '.join(text.splitlines()))


def _open(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise _error(f'{path}: is a folder; give the path of a .safetensors file')
        return safe_open(path, framework='pt')
    except FileNotFoundError as error:
        raise _error(
            f'{path}: no such checkpoint; give the path of a .safetensors file') from error
    except PermissionError as error:
        raise _error(f'{path}: cannot be read ({error.strerror})') from error
    except SafetensorError as error:
        raise _error(
            f'{path}: field header: not a whole .safetensors file, truncated or of another kind '
            f'({size} bytes; {error}); copy or export it again') from error
    except (OSError, ValueError) as error:
        raise _error(f'{path}: cannot be read ({error})') from error


def _document(file: Any, path: Path) -> CheckpointMetadata:
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise ForeignFileError(f"{path}: field '{_KEY}': missing, so this .safetensors file is no "
                               'emu_perception checkpoint; make one with training.export')
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(f"{path}: field '{_KEY}': not JSON ({error})") from error
    return _parse(document, path)


def _shape(tensor: torch.Tensor) -> str:
    return f'{str(tensor.dtype).removeprefix("torch.")} {list(tensor.shape)}'


def _check_finite(name: str, tensor: torch.Tensor, path: Path) -> None:
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise _error(f"{path}: tensor '{name}' holds values that are not finite: the training "
                     'diverged; export an earlier checkpoint')


def _parse(document: Any, path: Path) -> CheckpointMetadata:
    def wrong(name: str, problem: str) -> CheckpointError:
        return _error(f"{path}: field '{name}' {problem}")

    if not isinstance(document, dict):
        raise wrong(_KEY, f'is {type(document).__name__}, not an object')
    version = document.pop('format_version', None)
    if version != FORMAT_VERSION:
        raise wrong('format_version', f'is {str(version)[:80]}; this package reads '
                    f'{FORMAT_VERSION}: export the checkpoint with this version, or install its '
                    'version')
    known = {item.name for item in fields(CheckpointMetadata)}
    for name in document:
        if name not in known:
            raise wrong(name, f'is not known to format {FORMAT_VERSION}: remove it, or install '
                        'the version that wrote it')
    for name in ('architecture', 'input_size'):
        if name not in document:
            raise wrong(name, 'is missing: the file was edited; export it again')
    values = dict(document)
    for name, convert in _CONVERT.items():
        if name in values:
            try:
                values[name] = convert(values[name])
            except (TypeError, ValueError, ArithmeticError) as error:
                raise wrong(name, f'is {str(document[name])[:80]}: {error}') from error
    metadata = CheckpointMetadata(**values)
    _check(metadata, wrong)
    return metadata


def _check(metadata: CheckpointMetadata, wrong: Any) -> None:
    architecture = metadata.architecture
    if not isinstance(architecture.get('tasks'), list) or not architecture['tasks']:
        raise wrong('architecture.tasks', f"is {architecture.get('tasks')}; give a list of tasks")
    try:
        family_of(architecture)
    except InputError as error:
        raise wrong('architecture', f': {error}') from error
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
    _check_instances(metadata, wrong)


def _check_instances(metadata: CheckpointMetadata, wrong: Any) -> None:
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


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError('must be finite')
    return number


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError('must be above 0')
    return number


def _converted(values: Any, convert: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Convert the items of an object; an item that is not in ``convert`` stays for its class."""
    result = _object(values)
    for name in result.keys() & convert.keys():
        try:
            result[name] = convert[name](result[name])
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ValueError(f'{name}: {error}') from error
    return result


def _optional(value: Any) -> float | None:
    return None if value is None else _positive(value)


def _percentile(value: Any) -> float | None:
    percentile = _optional(value)
    if percentile is not None and percentile > 100:
        raise ValueError('must be 100 at most')
    return percentile


def _calibration(values: Any) -> Calibration:
    return Calibration(**_converted(values, {
        'temperature': _positive, 'variance_scale': _positive, 'risk_segmentation': _optional,
        'risk_depth': _optional, 'risk_percentile': _percentile}))


def _intrinsics(values: Any) -> Intrinsics | None:
    return None if values is None else Intrinsics(**_converted(values, {
        'width': _pixels, 'height': _pixels, 'fx': _positive, 'fy': _positive, 'cx': _number,
        'cy': _number}))


def _instances(values: Any) -> InstanceSettings | None:
    try:
        return None if values is None else InstanceSettings.of(values)
    except InputError as error:
        raise ValueError(str(error)) from error


def _pixels(value: Any) -> int:
    return int(_positive(value))


def _rgb(values: Any) -> tuple[float, float, float]:
    red, green, blue = (_number(value) for value in values)
    return red, green, blue


def _std(values: Any) -> tuple[float, float, float]:
    std = _rgb(values)
    if min(std) <= 0:
        raise ValueError('must be above 0')
    return std


def _palette(values: Any) -> tuple[tuple[int, ...], ...]:
    colours = tuple(tuple(int(c) for c in rgb) for rgb in values)
    if any(len(rgb) != 3 or min(rgb) < 0 or max(rgb) > 255 for rgb in colours):
        raise ValueError('colours are three numbers of 0..255')
    return colours


def _size(values: Any) -> tuple[int, int]:
    height, width = (int(value) for value in values)
    return height, width


def _object(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TypeError('not an object')
    return dict(values)


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError('not a list of names')
    return tuple(values)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    'architecture': _object,
    'input_size': _size,
    'name': str,
    'classes': _names,
    'palette': _palette,
    'ignore_index': int,
    'mean': _rgb,
    'std': _std,
    'depth_min': float,
    'depth_max': lambda value: math.inf if value is None else float(value),
    'intrinsics': _intrinsics,
    'calibration': _calibration,
    'provenance': _object,
    'metrics': _object,
    'instances': _instances,
}


def _to_json(document: dict[str, Any], path: Path) -> str:
    parts = []
    for name, value in document.items():
        try:
            parts.append(f'{json.dumps(name)}: {json.dumps(_finite(value), allow_nan=False)}')
        except (TypeError, ValueError) as error:
            raise _error(f"{path}: field '{name}' cannot be written as JSON ({error})") from error
    return f'{{{", ".join(parts)}}}'


def _finite(value: Any) -> Any:
    """Write inf and NaN as null, which JSON has, and NumPy's numbers as numbers, recursively."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def palette_or_default(palette: Any, classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return ``palette``, or distinct colours where there is none."""
    return tuple(tuple(rgb) for rgb in (palette or default_palette(classes)))
