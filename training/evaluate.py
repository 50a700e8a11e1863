# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Measure checkpoints on a split: all metrics, as JSON."""

from __future__ import annotations

import logging
import re
import sys

from emu_perception.devices import in_words, resolved_device
from emu_perception.errors import InputError

from .arguments.evaluate import parser
from .command_line import check_counts, check_writable, evenly_spaced, run, write_result
from .data.dataset_folder import DatasetFolder
from .data.digest import split_digest
from .data.leakage import trained_on
from .evaluation.inference_time import inference_time
from .evaluation.measuring import Crop, description, evaluate, FORMAT, named, trivial
from .evaluation.printing import figure_table
from .methods.ensemble import Ensemble

LOGGER = logging.getLogger('training')


def crop_of(text: str | None) -> Crop | None:
    """
    Read 'top:bottom,left:right'.

    :raises InputError: if it is something else.
    """
    if text is None:
        return None
    match = re.fullmatch(r'(\d+):(\d+),(\d+):(\d+)', text)
    top, bottom, left, right = map(int, match.groups()) if match else (0, 0, 0, 0)
    if not (top < bottom and left < right):
        raise InputError(f"--crop is '{text}': give rows and columns as 45:471,41:601")
    return top, bottom, left, right


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    reader = parser()
    options = reader.options(arguments)

    def command() -> None:
        folder = DatasetFolder(options.data)
        stems = folder.stems(options.split)
        check_counts(options, 'limit', 'samples', 'min_instance_pixels', 'time')
        stems = evenly_spaced(stems, options.limit)
        check_writable(options.json)
        if options.trivial:
            folder.stems('train')  # Of which it is made: said before all is measured.
        crop, progress = crop_of(options.crop), not options.no_progress
        device = resolved_device(options.device)
        ensemble = Ensemble(options.checkpoint, method=options.method, samples=options.samples,
                            device=device)
        about = description(ensemble, options.method)
        seen = [member.path for member in ensemble.members
                if trained_on(member.metadata, folder, options.split)]
        if seen:
            LOGGER.warning('%s: was trained on these images: the figures flatter it', seen[0])
        result = {
            'format': FORMAT, 'name': options.name or named(ensemble, about['method']), **about,
            'data_set': folder.name, 'data': str(folder.root), 'split': options.split,
            'data_sha256': split_digest(folder, stems),
            'seen_in_training': bool(seen),
            'void': options.void, 'threshold': options.threshold, 'crop': crop,
            'device': in_words(device),
            'command': reader.command(arguments),
            **evaluate(ensemble, folder, stems, void=options.void, threshold=options.threshold,
                       crop=crop, progress=progress,
                       min_instance_pixels=options.min_instance_pixels,
                       cluster=not options.no_ap)}
        if options.time:
            result.update(inference_time(ensemble, folder, stems[0], options.time))
        if options.trivial:
            result['trivial'] = trivial(folder, stems, crop, progress)
        for task in ensemble.tasks:
            if task not in result:
                LOGGER.warning("%s/%s.txt: no image has a truth for task '%s': nothing of it is "
                               'measured', folder.root, options.split, task)
        print(figure_table(result))
        write_result(options.json, result)
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
