# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Write a checkpoint for other runtimes: uint8 image in, all maps and scores out, proven equal.

emu export --out models/emu.onnx [--model FILE] [--size 288x512] [--batch N | --any-batch]

What is written is run and held against the Predictor on real images (--images, else photographs
that are here); if it says something else it is removed again. Beside it: NAME.json and NAME.md,
what the outputs mean, and NAME_example.py, which needs no ROS. A TensorRT engine is not written:
backend tensorrt of node and Predictor builds it where it runs, or trtexec of the ONNX file, as
NAME.md says. To ship a trained checkpoint: emu ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
import logging
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from emu_perception.commands.arguments import count
from emu_perception.commands.output_file import check_file
from emu_perception.commands.program import CommandParser, logging_from, program
from emu_perception.commands.read_first import check_checkpoints
from emu_perception.commands.sizes import size_of
from emu_perception.errors import EmuError, InputError, text_of
from emu_perception.exporting.format_names import chosen, NOT_WRITTEN, SUFFIXES
from emu_perception.model_file import default_model
import numpy as np

_IMAGES = 6
_ANY_BATCH = (1, 3)  # What a file for any number of images is proven at.
# Of scikit-image: a room, people, things.
_PHOTOGRAPHS = ('motorcycle_left.png', 'coffee.png', 'astronaut.png', 'chelsea.png')


def run(options: argparse.Namespace) -> None:
    """
    Do it.

    :raises EmuError: on bad input, or if the file does not say what the Predictor says.
    """
    check_checkpoints(options)
    out = options.out
    kind = chosen(options.format, out)
    check_file(*_files(out, kind), force=options.force)
    asked = None if options.size is None else size_of(options.size)
    from emu_perception.checkpoint import load_answering
    from emu_perception.exporting import beside
    from emu_perception.exporting.formats import need, written
    from emu_perception.exporting.proof import check_size, Proof, proof
    from emu_perception.exporting.whole_model import WholeModel
    from emu_perception.predictor import Predictor
    from emu_perception.whole_files import write_json, write_whole
    import torch
    row = need(kind)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'--out {out}: cannot be written ({error.strerror or error})') from error
    model_file = options.model or default_model()
    network, metadata = load_answering(model_file)
    size = asked or metadata.input_size
    images = [*_images(options.images, model_file)]
    model = WholeModel(network, metadata, size)
    predictor = Predictor(network, metadata, device='cpu', precision='fp32', backend='eager')
    check_size(predictor, size)
    print(f'writing {row.about}', file=sys.stderr)
    # In a folder of its own until it is proven: what is not never has the name, and what had it
    # before stays whole.
    with TemporaryDirectory(dir=out.parent, prefix='.emu_export-') as folder:
        partial = Path(folder, out.name)
        runs = written(row, model, torch.zeros(options.batch, *size, 3, dtype=torch.uint8),
                       partial, any_batch=options.any_batch)
        print(f'holding it against the Predictor on {len(images)} images', file=sys.stderr)
        found = Proof()
        for batch in _ANY_BATCH if options.any_batch else (options.batch,):
            found = found.with_(proof(runs, model, predictor, images, size, batch, row.bound))
        for path in Path(folder).iterdir():  # OpenVINO's .bin too.
            path.replace(out.with_name(path.name))
    document = beside.document(metadata, model.names, size,
                               None if options.any_batch else options.batch)
    *_, described, page, example = _files(out, kind)
    write_json(described, document, indent=2)
    write_whole(page, beside.readme(out.stem, kind, row.about, metadata, document, found))
    write_whole(example, beside.example(out.stem, kind, document))
    print(f'wrote {out} ({out.stat().st_size / 1e6:.1f} MB), proven on {found.images} images: at '
          f'most {max(found.largest.values()):.1g} off, {found.ties} labels that are ties; beside '
          f'it {out.stem}.json, {out.stem}.md, {out.stem}_example.py')


def _files(out: Path, kind: str) -> tuple[Path, ...]:
    """Return all that an export writes: the file, OpenVINO's weights, and the three beside it."""
    weights = (out.with_suffix('.bin'),) if kind == 'openvino' else ()
    return (out, *weights, out.with_suffix('.json'), out.with_suffix('.md'),
            out.with_name(f'{out.stem}_example.py'))


def _images(given: Path | None, model: Path) -> Iterator[np.ndarray]:
    """
    Yield real images: the user's, else photographs that are here.

    :raises InputError: if there is none.
    """
    from emu_perception.cameras.image_files import image_paths, read_image
    if given is not None:
        paths = image_paths(given) if given.is_dir() else [given]
        chosen = [paths[int(i * len(paths) / _IMAGES)] for i in range(_IMAGES)]
        paths = list(dict.fromkeys(chosen))
    else:
        spec = find_spec('skimage')
        folder = Path(str(spec.origin)).parent / 'data' if spec is not None else Path()
        paths = [folder / name for name in _PHOTOGRAPHS if (folder / name).is_file()]
        # The picture beside the default model is there wherever that is.
        paths += default_model().parent.glob('*.jpg')
    if not paths:
        raise InputError('no photograph is here to prove the file on: give --images DIR')
    for path in paths:
        try:
            yield read_image(path)
        except InputError as error:
            raise InputError(f'{path}: {error}') from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = CommandParser('emu export', __doc__)
    add = parser.add_argument
    add('--format', choices=(*SUFFIXES, *NOT_WRITTEN), help='default: by the name of --out')
    add('--out', type=Path, required=True, metavar='FILE', help='.onnx, .xml or .pt2')
    add('--model', type=Path, metavar='FILE', help='checkpoint; default: the one of the package')
    add('--size', metavar='HxW', help="of its input; default: the checkpoint's")
    batch = parser.add_mutually_exclusive_group()
    batch.add_argument('--batch', type=count(1), default=1, metavar='N',
                       help='images at once (default: 1)')
    batch.add_argument('--any-batch', action='store_true',
                       help='as many images at once as it is given; ONNX alone')
    add('--images', type=Path, metavar='DIR|FILE', help='to prove it on; default: photographs '
        'that are here')
    add('--force', action='store_true', help='replace --out, and what is written beside it, where '
        'they are there')
    options = parser.parse_args(arguments)
    try:
        with logging_from(logging.ERROR):
            run(options)
    except (EmuError, OSError) as error:
        print(f'{program("emu export")}: {text_of(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{program("emu export")}: interrupted', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
