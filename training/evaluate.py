# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure checkpoints on a split: all metrics, as JSON.

python -m training.evaluate --checkpoint F [F ...] --data DIR --split val --json OUT [--trivial]

Several checkpoints (or a folder of members) answer together as a deep ensemble; a sub-ensemble and
a network with Monte Carlo dropout are sampled as they were trained. Maps are compared at the
images' full size, pooled over all pixels; integer counts, so the order of images does not matter.
The trivial baselines (the most frequent class everywhere; the mean depth map of the training
images) say what a number is worth.
"""

from __future__ import annotations

import logging
from pathlib import Path
import re
import sys

from emu_perception.errors import InputError
from emu_perception.predictor import resolved_device
import torch

from .command_line import (
    check_counts,
    check_writable,
    command_parser,
    evenly_spaced,
    run,
    write_result,
)
from .data.dataset_folder import DatasetFolder
from .data.leakage import trained_on
from .evaluation.inference_time import inference_time
from .evaluation.measuring import Crop, description, evaluate, FORMAT, trivial
from .evaluation.printing import figure_table
from .methods.ensemble import Ensemble, SAMPLED

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
    parser = command_parser('evaluate', __doc__)
    parser.add_argument('--checkpoint', required=True, nargs='+', type=Path, metavar='FILE',
                        help='one or more checkpoints, or a folder of members')
    parser.add_argument('--data', required=True, help='data set folder')
    parser.add_argument('--split', default='val', help='default val')
    parser.add_argument('--method', default='auto', choices=SAMPLED,
                        help='how each checkpoint is sampled; auto: as it was trained')
    parser.add_argument('--samples', type=int, help='of Monte Carlo dropout')
    parser.add_argument('--void', default='exclude', choices=('exclude', 'as_inaccurate'),
                        help='unlabelled pixels in the uncertainty metrics (the file has both)')
    parser.add_argument('--threshold', default='mean', choices=('mean', 'median'),
                        help='of certainty, over each image (the file has both)')
    parser.add_argument('--crop', metavar='ROWS,COLUMNS',
                        help="truth used: 45:471,41:601 is NYUv2's official crop")
    parser.add_argument('--min-instance-pixels', type=int, default=100,
                        help="true instances below are ignored in AP; default 100, Cityscapes' at "
                        'its full size')
    parser.add_argument('--no-ap', action='store_true',
                        help='no AP of instances: the clustering takes longer than all else')
    parser.add_argument('--limit', type=int, help='only so many images, evenly spaced')
    parser.add_argument('--name', help='of the row in tables; default: the method')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, help='write the metrics here')
    parser.add_argument('--trivial', action='store_true', help='measure the trivial baselines too')
    parser.add_argument('--time', type=int, metavar='ROUNDS',
                        help='also time so many answers, of one pass by the backend that a robot '
                        'would run, sampled ones in PyTorch; on a machine that does nothing else')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    options = parser.parse_args(arguments)

    def command() -> None:
        folder = DatasetFolder(options.data)
        stems = folder.stems(options.split)
        check_counts(options, 'limit', 'samples', 'min_instance_pixels', 'time')
        stems = evenly_spaced(stems, options.limit)
        check_writable(options.json)
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
            'format': FORMAT, 'name': options.name or about['method'], **about,
            'data_set': folder.name, 'data': str(folder.root), 'split': options.split,
            'seen_in_training': bool(seen),
            'void': options.void, 'threshold': options.threshold, 'crop': crop,
            'device': f'cpu ({torch.get_num_threads()} threads)' if device.type == 'cpu'
            else torch.cuda.get_device_name(device),
            'command': parser.command(arguments),
            **evaluate(ensemble, folder, stems, void=options.void, threshold=options.threshold,
                       crop=crop, progress=progress,
                       min_instance_pixels=options.min_instance_pixels,
                       cluster=not options.no_ap)}
        if options.time:
            result.update(inference_time(ensemble, folder, stems[0], options.time))
        if options.trivial:
            result['trivial'] = trivial(folder, stems, crop, progress)
        print(figure_table(result))
        write_result(options.json, result)
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
