# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What lies beside an exported file: what its outputs mean, and an example without ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emu_perception.cameras.plausibility import FIELD_OF_VIEW_DEG
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.exporting.proof import Proof, training_fx
from emu_perception.exporting.whole_model import SCORE
from emu_perception.maps import MAPS
from emu_perception.risk_status import resolve_thresholds
from emu_perception.scores import SCORES

_EXAMPLE = '''"""{what} of one image: python {name}_example.py IMAGE{argument}."""
import json
from pathlib import Path
import sys

import cv2
import numpy as np

bgr = cv2.imread(sys.argv[1]) if len(sys.argv) > {last} else None
if bgr is None:
    sys.exit(f'{{__doc__}} IMAGE is a file that OpenCV reads'){camera}
# Once the words are right: it takes seconds.
{imports}
about = json.loads(Path(__file__).with_name('{name}.json').read_text())
{load}
small = cv2.resize(bgr, (about['width'], about['height']), interpolation=cv2.INTER_AREA)[..., ::-1]
found = dict(zip(about['outputs'], run(np.repeat(small[None], about['batch'] or 1, axis=0))))
scale = {scale}
{lines}
scores = {{name: float(found['score_' + name][0]) * (scale if name == 'depth_sigma' else 1.0)
          for name in about['scores']}}
above = [name for name, limit in about['thresholds'].items() if not scores[name] <= limit]
{verdict}
'''
_LABELS = "print('classes', [about['names'][i] for i in np.unique(found['label'][0])])"
_METRES = """depth, sigma = found['depth'][0] * scale, np.sqrt(found['depth_variance'][0]) * scale
print(f'median depth {np.nanmedian(depth):.2f} m, sigma {np.median(sigma):.2f} m')"""
# No wrong metres: the field of view that the Predictor asks for.
_CAMERA = """
fx = float(sys.argv[2]) if sys.argv[2].replace('.', '', 1).isdecimal() else 0.0
if not {low:g} <= np.degrees(2 * np.arctan2(max(bgr.shape[:2]) / 2, fx)) <= {high:g}:
    sys.exit(f'{{__doc__}} FX_PIXELS {{sys.argv[2]}} is no focal length in pixels of IMAGE')"""
_VERDICT = "print('RISK', above) if above else print('no risk')"
# A node raises its flag for it and lets no metres out, whatever the scores say.
_MORE = "if above:\n    print('RISK', above)"
_NO_METRES = "print('RISK: no metres, the model does not know the focal length it learned with')"
# Neither runtime shall report to its maker: said before it is imported.
_RUNS = {
    'onnx': ("import os\nos.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')  # No reports."
             '\nimport onnxruntime', "session = onnxruntime.InferenceSession("
             "str(Path(__file__).with_name('{name}.onnx')))\n"
             "run = lambda batch: session.run(None, {{'image': batch}})"),
    'openvino': ("sys.modules.setdefault('openvino_telemetry', None)  # No reports."
                 '\nimport openvino', "model = openvino.Core().compile_model("
                 "str(Path(__file__).with_name('{name}.xml')), 'CPU', "
                 "{{'INFERENCE_PRECISION_HINT': 'f32'}})\n"
                 'run = lambda batch: list(model([batch]).to_tuple())'),
    'torch': ('import torch', "model = torch.export.load("
              "Path(__file__).with_name('{name}.pt2')).module()\n"
              'run = lambda batch: [x.numpy() for x in model(torch.from_numpy(batch))]')}


def document(metadata: CheckpointMetadata, names: tuple[str, ...], size: tuple[int, int],
             batch: int | None) -> dict[str, Any]:
    """Return what a program has to know of the file: NAME.json; of any ``batch`` it is None."""
    fx = training_fx(metadata)
    scores = [name.removeprefix(SCORE) for name in names if name.startswith(SCORE)]
    return {
        'model': metadata.name, 'height': size[0], 'width': size[1], 'batch': batch,
        'outputs': list(names), 'scores': scores,
        'names': list(metadata.classes), 'palette': [list(color) for color in metadata.palette],
        'depth_max_m': metadata.depth_max,
        'depth_scale_per_fx_of_width': None if fx is None else size[1] / fx,
        'thresholds': {name: limit for name, limit in resolve_thresholds(
            {}, metadata.calibration)[0].by_score.items() if name in scores}}


def example(name: str, kind: str, document_: dict[str, Any]) -> str:
    """Return the example for a format, which looks for its file beside itself."""
    imports, load = (part.format(name=name) for part in _RUNS[kind])
    labels, depth = ('label' in document_['outputs'], 'depth' in document_['outputs'])
    metres = depth and document_['depth_scale_per_fx_of_width'] is not None
    words = [*(['labels'] if labels else []), *(['metres'] if metres else []), 'flag']
    return _EXAMPLE.format(
        name=name, imports=imports, load=load, argument=' FX_PIXELS' if metres else '',
        last=2 if metres else 1,
        what=(', '.join(words[:-1]) + ' and ' * (len(words) > 1) + words[-1]).capitalize(),
        camera=_CAMERA.format(low=FIELD_OF_VIEW_DEG[0], high=FIELD_OF_VIEW_DEG[1])
        if metres else '', scale="fx / bgr.shape[1] * about['depth_scale_per_fx_of_width']"
        if metres else '1.0', lines='\n'.join(line for line, there in (
            (_LABELS, labels), (_METRES, metres), (_NO_METRES, depth and not metres)) if there),
        verdict=_MORE if depth and not metres else _VERDICT)


def readme(name: str, kind: str, about: str, metadata: CheckpointMetadata,
           document_: dict[str, Any], proof: Proof) -> str:
    """Return NAME.md: inputs, outputs, how metres are made, what was proven."""
    rows = [f'| `{output}` | {_meaning(output)} |' for output in document_['outputs']]
    errors = ', '.join(f'{output} {error:.1g}' for output, error in proof.largest.items())
    batch, height, width = (document_[key] for key in ('batch', 'height', 'width'))
    batch = 'any number' if batch is None else batch
    return '\n'.join([
        f'# {name}', '', f'{metadata.name} as {about}; `{name}_example.py` runs it without ROS.',
        '', f'Input `image`: uint8 [{batch}, {height}, {width}, 3], rgb, shrunk by areas ('
        '`cv2.INTER_AREA`). Outputs, in this order:', '', '| output | meaning |', '|---|---|',
        *rows, '', *_metres(document_),
        '**The flag.** Risk is raised where a score is above its threshold in '
        f'`{name}.json`, or is no number. The node adds what one image cannot tell: silence, old '
        'images, unknown cameras, hysteresis.', '',
        f'**Proven** on {proof.images} images against the Predictor (PyTorch, float32). Largest '
        f'errors, relative to values above 1: {errors}; labels that are ties: {proof.ties}.', '',
        *_OF_RUNTIMES[kind](name, document_)])


def _metres(document_: dict[str, Any]) -> list[str]:
    """Return how depths become metres, where there are depths."""
    if 'depth' not in document_['outputs']:
        return []
    factor = document_['depth_scale_per_fx_of_width']
    if factor is None:
        return ['**No metres.** The model does not know the focal length it learned with, so its '
                'depths are metres of no camera that could be named: a node raises its flag and '
                'withholds them.', '']
    return ['**Metres.** Depth is that of the training camera. For a camera of focal length fx in '
            'pixels, at the width of its own image, multiply depth, its sigma and '
            f'`score_depth_sigma` by fx / width * {factor}, the variance by its square. Without '
            'the focal length there are no metres.', '']


def _of_onnx(name: str, document_: dict[str, Any]) -> list[str]:
    """Return what users of an ONNX file have to know of two runtimes."""
    engine = (
        f'`trtexec --onnx={name}.onnx --saveEngine={name}.engine --noTF32`, on the machine that '
        'runs it: shapes are those of the file; float32, since a variance spans more than float16 '
        'does, and TF32 keeps 10 bits' if document_['batch'] is not None else
        'of a file for a given number of images (`--batch N`): the loop over images here needs '
        'sequences, which TensorRT does not have')
    return [
        '**ONNX Runtime** reports to its maker unless `ORT_DISABLE_TELEMETRY=1` is in the '
        'environment before it is imported, as the example sees to.', '',
        f'**TensorRT**, without Python: {engine}. Never run by us, for want of a GPU: TensorRT '
        'makes float32 of the float64 of the scores, and documents no conversion of integers to '
        'the uint8 of `label`. Hold an engine against this file before you believe it. With '
        "Python and torch, backend `tensorrt` of emu_perception's Predictor and node builds an "
        'engine of the network and holds it against PyTorch by itself.', '']


def _of_openvino(name: str, document_: dict[str, Any]) -> list[str]:
    return ['**OpenVINO** reports to its maker where the package openvino-telemetry is installed, '
            'unless that is kept from being imported, as the example sees to.', '']


_OF_RUNTIMES: dict[str, Callable[[str, dict[str, Any]], list[str]]] = {
    'onnx': _of_onnx, 'openvino': _of_openvino, 'torch': lambda name, document_: []}


def _meaning(output: str) -> str:
    if output.startswith(SCORE):
        score = SCORES[output.removeprefix(SCORE)]
        return f"{score.words}{'' if score.unit == '1' else f', {score.unit}'}, [batch]"
    row = MAPS[output]
    words = row.words.replace('sigma', 'variance') if row.unit == 'm²' else row.words
    return f'{words}, {row.unit}'
