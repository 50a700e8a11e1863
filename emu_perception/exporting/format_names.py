# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The formats of a whole model by their names, without torch: the command's line is read first."""

from __future__ import annotations

from pathlib import Path

from emu_perception.errors import InputError

SUFFIXES = {'onnx': '.onnx', 'openvino': '.xml', 'torch': '.pt2'}
# What could be asked for and is not written: its names of files, and what to do.
NOT_WRITTEN = {
    'tensorrt': (('.engine', '.plan', '.trt'), 'an engine is of one GPU and one TensorRT, and is '
                 "built where it runs: backend 'tensorrt' of node and Predictor (pip install "
                 'tensorrt onnx) builds it, proves it and keeps it; without Python, write ONNX '
                 '(--out NAME.onnx): NAME.md beside it has the command of trtexec')}


def chosen(name: str | None, out: Path) -> str:
    """
    Return the format that is asked for by its name, else by the file's.

    :raises InputError: if it is one that is not written, or the file's name is not of it.
    """
    for other, (suffixes, words) in NOT_WRITTEN.items():
        if name == other or name is None and out.suffix in suffixes:
            raise InputError(f'{other} is not written: {words}')
    for kind, suffix in SUFFIXES.items():
        if out.suffix == suffix and name in (None, kind):
            return kind
    ends = ', '.join(SUFFIXES.values()) if name is None else SUFFIXES[name]
    raise InputError(f'--out {out}: give a name that ends in {ends}')
