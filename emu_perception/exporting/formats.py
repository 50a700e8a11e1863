# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The formats that a whole model is written in: one row each, with what runs it for the proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
import os
from pathlib import Path
from typing import Any
import warnings

from emu_perception.backends.onnx_export import OPSET
from emu_perception.backends.openvino_conversion import import_openvino
from emu_perception.errors import InputError, text_of
from emu_perception.exporting.whole_model import WholeModel
import numpy as np
import torch

INPUT = 'image'
# uint8 [B, h, w, 3] -> outputs in the order of ``WholeModel.names``.
Runs = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Format:
    """
    A row.

    :ivar packages: that write and run it, beside torch.
    :ivar extra: of pip, that brings them.
    :ivar bound: largest error against the Predictor, relative to values above 1.
    :ivar write: writes a model for inputs like an example.
    :ivar load: returns what runs the file.
    :ivar about: what there is to know of the file.
    :ivar any_batch: writes a model for any number of images; None = the format has none that is
        proven here.
    """

    packages: tuple[str, ...]
    extra: str
    bound: float
    write: Callable[[WholeModel, torch.Tensor, Path], None]
    load: Callable[[Path], Runs]
    about: str
    any_batch: Callable[[WholeModel, torch.Tensor, Path], None] | None = None


def _write_onnx(model: WholeModel, example: torch.Tensor, path: Path,
                open_axes: dict[str, dict[int, str]] | None = None) -> None:
    # The older exporter needs the package onnx alone, the newer one onnxscript too.
    torch.onnx.export(model, (example,), str(path), input_names=[INPUT], dynamic_axes=open_axes,
                      output_names=list(model.names), opset_version=OPSET, dynamo=False)


def _write_onnx_of_any_batch(model: WholeModel, example: torch.Tensor, path: Path) -> None:
    model.open_batch(example)
    _write_onnx(model, example, path, {name: {0: 'batch'} for name in (INPUT, *model.names)})


def _load_onnx(path: Path) -> Runs:
    # Else it writes an identifier of this machine and reports to a server on the Internet.
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda image: session.run(None, {INPUT: image})


def _write_openvino(model: WholeModel, example: torch.Tensor, path: Path) -> None:
    openvino = import_openvino()
    traced = torch.jit.trace(model, (example,), check_trace=False)
    converted = openvino.convert_model(traced, example_input=example, input=list(example.shape))
    converted.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(converted.outputs, model.names, strict=True):
        output.get_tensor().set_names({name})
    openvino.save_model(converted, path, compress_to_fp16=False)


def _load_openvino(path: Path) -> Runs:
    openvino = import_openvino()
    compiled: Any = openvino.Core().compile_model(
        str(path), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    return lambda image: list(compiled([image]).to_tuple())


def _write_torch(model: WholeModel, example: torch.Tensor, path: Path) -> None:
    torch.export.save(torch.export.export(model, (example,)), str(path))


def _load_torch(path: Path) -> Runs:
    module: Any = torch.export.load(str(path)).module()

    def run(image: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [values.numpy() for values in module(torch.from_numpy(image))]
    return run


FORMATS = {
    'onnx': Format(('onnx', 'onnxruntime'), 'export', 1e-4, _write_onnx, _load_onnx,
                   f'ONNX, opset {OPSET}', _write_onnx_of_any_batch),
    'openvino': Format(('openvino',), 'cpu', 1e-3, _write_openvino, _load_openvino,
                       'OpenVINO IR (.xml and .bin belong together), to be run in float32'),
    'torch': Format((), 'pypi', 1e-4, _write_torch, _load_torch,
                    f'torch.export of torch {torch.__version__}')}


def need(name: str) -> Format:
    """
    Return a format whose packages are installed.

    :raises InputError: if one is not.
    """
    row = FORMATS[name]
    for package in row.packages:
        if find_spec(package) is None:
            raise InputError(f"--format {name} needs the Python package {package}, which is not "
                             f"installed: pip install '.[{row.extra}]' in the folder of "
                             'emu_perception')
    return row


@torch.inference_mode(False)
@torch.no_grad()
def written(row: Format, model: WholeModel, example: torch.Tensor, path: Path, *,
            any_batch: bool = False) -> Runs:
    """
    Write a model, and return what runs the file.

    :param any_batch: for any number of images, not the example's.
    :raises InputError: if the format cannot take this network, or no such batch.
    """
    write = row.any_batch if any_batch else row.write
    if write is None:
        raise InputError(f'--out {path.name}: {row.about} is written for a number of images that '
                         'is given: leave --any-batch out, or give a name that ends in .onnx')
    try:
        with warnings.catch_warnings():
            # Tracers warn of what becomes a constant: the proof finds where that is wrong.
            warnings.simplefilter('ignore')
            write(model.eval(), example, path)
        return row.load(path)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f'--out {path.name}: this network cannot be written as {row.about}: '
                         f'{text_of(error)[:300]}') from error
