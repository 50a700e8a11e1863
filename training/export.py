# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Make a checkpoint ready to ship: metrics inside, weights in float16, a model card beside it."""

from __future__ import annotations

from dataclasses import replace
import json
import logging
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.foreign_files import read_text, why_unread
from emu_perception.scores import SCORES
from emu_perception.whole_files import write_whole

from .arguments.export import parser
from .command_line import check_apart, run
from .evaluation.measuring import file_hash
from .reporting.model_card import is_card, model_card

KEPT = ('checkpoint', 'method', 'data_set', 'split', 'images', 'void', 'threshold', 'crop',
        'segmentation', 'instance', 'depth', 'inverse_depth', 'policies', 'trivial',
        *(f'mean_{name}' for name in SCORES))
CARD = '.md'

LOGGER = logging.getLogger('training')


def export(checkpoint: Path, metrics: Path, out: Path, *, name: str | None = None,
           half: bool = True, command: str = '') -> Path:
    """
    Write ``out`` and its card ``out`` with suffix .md.

    :param metrics: JSON written by training.evaluate for this checkpoint, or, where it was trained
        on all images, for the twin that its constants are of.
    :raises EmuError: if a file cannot be used.
    """
    check_apart(out, [checkpoint, metrics])
    card = out.with_suffix(CARD)
    if out == card:
        raise InputError(f'--out is {out}: there its card goes: give a name on .safetensors')
    if card.exists() and not (card.is_file() and is_card(read_text(card))):
        raise InputError(f'--out is {out}: its card would replace {card}, which is none: give '
                         'another name')
    network, metadata = load_checkpoint(checkpoint)
    try:
        measured: dict[str, Any] = json.loads(metrics.read_text())
    except OSError as error:
        raise InputError(f'{metrics}: {why_unread(error)}: give what emu evaluate --json has '
                         'written') from error
    except ValueError as error:
        raise InputError(f'{metrics}: not a metrics file of emu evaluate '
                         f'({error})') from error
    twin = metadata.provenance.get('calibration', {})
    hashes = measured.get('sha256') if isinstance(measured, dict) else None
    of_twin = 'twin' in twin and hashes == [twin['twin_sha256']]
    if not of_twin and hashes != [file_hash(checkpoint)]:
        named = measured.get('checkpoints') if isinstance(measured, dict) else None
        raise InputError(f"{metrics}: field 'checkpoints' is {named}: measured on another file "
                         f'than {checkpoint} as it is now: evaluate it first')
    if isinstance(measured, dict) and not measured.get('trivial'):
        LOGGER.warning('%s: without the trivial baseline, which the card sets beside the figures: '
                       'evaluate with --trivial', metrics)
    if measured.get('seen_in_training'):
        raise InputError(f'{metrics}: was measured on images that {checkpoint} was trained on: '
                         'evaluate another split; or, trained on train+val, its twin, with whose '
                         'constants (emu calibrate --constants-of) it is shipped')
    # The curves and the single images stay in the file beside the checkpoint.
    measured = {name: measured[name] for name in KEPT if name in measured}
    if of_twin:
        measured['of_twin'] = twin['twin']
    provenance = {**metadata.provenance,
                  'command': command or metadata.provenance.get('command', ''),
                  'weights_stored_as': 'float16' if half else 'float32'}
    metadata = replace(metadata, name=name or out.stem, metrics=measured, provenance=provenance)
    save_checkpoint(out, network, metadata, half=half)
    write_whole(card, model_card(metadata, out))
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        out = export(options.checkpoint, options.metrics, options.out, name=options.name,
                     half=not options.fp32, command=options.command)
        print(f'wrote {out} ({out.stat().st_size / 1e6:.1f} MB) and {out.with_suffix(CARD)}')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
