# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The tensors of a checkpoint: weights under their own names, fitted statistics under a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emu_perception.checkpoint.document import one_line, Shapes
from emu_perception.networks.families import Network
import numpy as np
import torch

_STATISTICS = 'statistics.'


def tensors_of(network: Network, statistics: Mapping[str, np.ndarray], path: Path, *, half: bool
               ) -> dict[str, torch.Tensor]:
    """
    Return what is written of a network and its statistics.

    :raises CheckpointError: if a value is not finite.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        _check_weight(name, tensor, path)
        if half and tensor.is_floating_point() and tensor.ndim > 1:
            small = tensor.half()
            # A weight beyond float16's range would come back as infinite.
            tensor = small if torch.isfinite(small).all() else tensor
        tensors[name] = tensor
    for name, array in statistics.items():
        tensor = torch.from_numpy(np.array(array, np.float32, order='C'))
        _check_statistic(name, tensor, path)
        tensors[_STATISTICS + name] = tensor
    return tensors


def weights_of(file: Any, network: Network, path: Path) -> dict[str, torch.Tensor]:
    """
    Return the weights of an open file.

    :raises CheckpointError: if they are not those that the network needs.
    """
    expected = network.state_dict()
    names = {name for name in file.keys() if not name.startswith(_STATISTICS)}
    for problem, odd in (('lacks', expected.keys() - names), ('has', names - expected.keys())):
        if odd:
            raise one_line(
                f"{path}: {problem} tensor '{min(odd)}' ({len(odd)} such) against its "
                "'architecture': the file was made by another version or edited; export it "
                'again')
    tensors = {}
    for name, target in expected.items():
        tensor = _tensor(file, name, path)
        if (tensor.shape != target.shape
                or tensor.is_floating_point() != target.is_floating_point()):
            raise one_line(
                f"{path}: tensor '{name}' is {_shape(tensor)}, its 'architecture' needs "
                f'{_shape(target)}: the file was edited; export it again')
        tensors[name] = tensor.to(target.dtype)
        _check_weight(name, tensors[name], path)
    return tensors


def statistics_of(file: Any, shapes: Shapes, path: Path) -> dict[str, np.ndarray]:
    """
    Return the fitted statistics of an open file, float32.

    :raises CheckpointError: if they are not those that the document names.
    """
    there = {name.removeprefix(_STATISTICS) for name in file.keys()
             if name.startswith(_STATISTICS)}
    for problem, odd in (('lacks', shapes.keys() - there), ('has', there - shapes.keys())):
        if odd:
            raise one_line(f"{path}: {problem} tensor '{_STATISTICS}{min(odd)}' ({len(odd)} such) "
                           "against its field 'statistics': the file was edited; calibrate it "
                           'again')
    found = {}
    for name, shape in shapes.items():
        tensor = _tensor(file, _STATISTICS + name, path)
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise one_line(f"{path}: tensor '{_STATISTICS}{name}' is {_shape(tensor)}, its field "
                           f"'statistics' says float32 {list(shape)}: the file was edited; "
                           'calibrate it again')
        _check_statistic(name, tensor, path)
        found[name] = tensor.numpy()
    return found


def _tensor(file: Any, name: str, path: Path) -> torch.Tensor:
    try:
        return file.get_tensor(name)
    except Exception as error:  # safetensors and torch raise many kinds for one cause.
        raise one_line(f"{path}: tensor '{name}' cannot be read ({error})") from error


def _shape(tensor: torch.Tensor) -> str:
    return f'{str(tensor.dtype).removeprefix("torch.")} {list(tensor.shape)}'


def _check_weight(name: str, tensor: torch.Tensor, path: Path) -> None:
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise one_line(f"{path}: tensor '{name}' holds values that are not finite: the training "
                       'diverged; export an earlier checkpoint')


def _check_statistic(name: str, tensor: torch.Tensor, path: Path) -> None:
    if not torch.isfinite(tensor).all():
        raise one_line(f"{path}: tensor '{_STATISTICS}{name}' holds values that are not finite: "
                       'a score made of them would always fail; calibrate it again')
