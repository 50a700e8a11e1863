# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The result files of training.evaluate, read and checked."""

from __future__ import annotations

from collections import Counter
import json
from pathlib import Path
from typing import Any

from emu_perception.errors import EmuError
from emu_perception.foreign_files import why_unread

from .results import DEPTH, INSTANCE, METHODS, Result, SEGMENTATION, TASKS

FORMAT = 1
_CURVES = {SEGMENTATION: ('reliability', 'sparsification', 'threshold'),
           DEPTH: ('coverage', 'sparsification', 'threshold')}
_WORDS: dict[type, str] = {dict: 'an object', list: 'a list', str: 'a text',
                           int: 'a whole number'}


class ReportError(EmuError):
    """A result file that cannot be used; the message names file, field and value."""


def load_results(files: list[Path]) -> list[Result]:
    """
    Read result files, in the order of the paper's groups, otherwise as given.

    :raises ReportError: if a file cannot be used, or they are not of one data set and split.
    """
    documents = [(file, _read(file)) for file in files]
    first_file, first = documents[0]
    for file, document in documents[1:]:
        for field in ('data_set', 'split'):
            if document[field] != first[field]:
                raise ReportError(f"{file}: field '{field}' is '{document[field]}', but that of "
                                  f"{first_file} is '{first[field]}': a report is of one data "
                                  'set and one split')
    names = Counter(document['name'] for _, document in documents)
    results = [Result(file, document['name'] if names[document['name']] == 1
                      else f'{document["name"]} ({file.stem})', document)
               for file, document in documents]
    order = list(METHODS)
    return sorted(results, key=lambda result: order.index(result.method))


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise ReportError(f'{file}: {why_unread(error)}; give what emu evaluate --json has '
                          'written') from error
    except ValueError as error:
        raise ReportError(f'{file}: not JSON ({error})') from error
    if not isinstance(document, dict):
        raise ReportError(f'{file}: a JSON object is expected, as emu evaluate writes it')
    try:
        _check(document)
    except ReportError as error:
        raise ReportError(f'{file}: {error}') from None
    return document


def _check(document: dict[str, Any]) -> None:
    if document.get('format', FORMAT) != FORMAT:
        raise ReportError(f"field 'format' is {document['format']!r}, this report reads {FORMAT}")
    for field in ('format', 'name', 'method', 'tasks', 'data_set', 'split', 'void', 'threshold'):
        if document.get(field) is None:
            raise ReportError(f"field '{field}' is missing; emu evaluate writes it")
        if field not in ('format', 'tasks'):
            _expect(document, field, str)
    if document['method'] not in METHODS:
        raise ReportError(f"field 'method' is '{document['method']}': one of "
                          f'{", ".join(METHODS)} is expected')
    tasks = document['tasks']
    if not (isinstance(tasks, list) and any(task in TASKS for task in tasks)
            and all(task in (*TASKS, INSTANCE) for task in tasks)):
        raise ReportError(f"field 'tasks' is {tasks!r}: a list of {' and '.join(TASKS)} is "
                          'expected')
    if all(document.get(task) is None for task in tasks if task in TASKS):
        raise ReportError(f"field '{tasks[0]}' is missing: nothing was measured")
    for field in (*TASKS, 'curves', 'inference_ms', 'trivial'):
        _expect(document, field, dict)
    _expect(document, 'samples', int)
    for field in ('inference_by', 'trained_as', 'encoder', 'device', 'data_sha256'):
        _expect(document, field, str)
    for field in ('checkpoints', 'policies', 'class_iou', 'classes', 'per_image', 'input_size',
                  'crop', 'seeds', 'made_by', 'made_of'):
        _expect(document, field, list)
    for field, kind in (('checkpoints', str), ('classes', str), ('seeds', int)):
        for i, value in enumerate(document.get(field) or ()):
            if not isinstance(value, kind) and not (value is None and kind is int):
                raise ReportError(f"field '{field}[{i}]' is {value!r}: {_WORDS[kind]} is expected")
    _check_number('dropout', document.get('dropout'))
    for task in TASKS:
        _expect(document.get('trivial') or {}, task, dict, 'trivial.')
    for field in (*TASKS, 'inference_ms'):
        for name, value in (document.get(field) or {}).items():
            _check_number(f'{field}.{name}', value)
    for field in ('policies', 'per_image'):
        for i, row in enumerate(document.get(field) or ()):
            if not isinstance(row, dict) or (field == 'per_image' and 'stem' not in row):
                raise ReportError(f"field '{field}[{i}]' is {row!r}: an object"
                                  + (" with 'stem'" if field == 'per_image' else '')
                                  + ' is expected')
    _check_curves(document.get('curves') or {})
    for i, value in enumerate(document.get('class_iou') or ()):
        _check_number(f'class_iou[{i}]', value)
    if document.get('class_iou') and len(document['class_iou']) != len(
            document.get('classes') or ()):
        raise ReportError(f"field 'class_iou' has {len(document['class_iou'])} values for "
                          f'{len(document.get("classes") or ())} classes')


def _check_curves(curves: dict[str, Any]) -> None:
    for task, kinds in _CURVES.items():
        _expect(curves, task, dict, 'curves.')
        for kind in kinds:
            columns = curves.get(task) or {}
            _expect(columns, kind, dict, f'curves.{task}.')
            place, lengths = f'curves.{task}.{kind}', set()
            for name, values in (columns.get(kind) or {}).items():
                _expect(columns[kind], name, list, f'{place}.')
                lengths.add(len(values or ()))
                for i, value in enumerate(values or ()):
                    _check_number(f'{place}.{name}[{i}]', value)
            if len(lengths) > 1:
                raise ReportError(f"field '{place}' has columns of {sorted(lengths)} values")


def _expect(document: dict[str, Any], field: str, kind: type, prefix: str = '') -> None:
    value = document.get(field)
    if value is not None and not isinstance(value, kind):
        raise ReportError(f"field '{prefix}{field}' is {value!r}: {_WORDS[kind]} is expected")


def _check_number(place: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ReportError(f"field '{place}' is {value!r}: a number or null is expected")
