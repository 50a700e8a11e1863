# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Let the rare classes of a trained network speak up, at no cost on the robot."""

from __future__ import annotations

import logging
from pathlib import Path
import sys

from emu_perception.checkpoint import CheckpointMetadata, load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.networks.multitask import SEGMENTATION
import torch

from .arguments.balance import parser
from .command_line import check_apart, run
from .data.class_names import classes_apart
from .data.dataset_folder import DatasetFolder
from .data.steps import balanced, steps_of
from .evaluation.measuring import file_hash
from .losses.class_weights import label_counts
from .runs.ancestry import ancestors_of, with_other_weights

LOGGER = logging.getLogger('training')


def balance(checkpoint: Path, folder: DatasetFolder, tau: float, out: Path) -> CheckpointMetadata:
    """
    Write a network with its classes' prior taken out in part, and return its document.

    :param folder: the labels of its train.txt are counted.
    :param tau: above 0, up to 1.
    :raises EmuError: if a file cannot be used, or the network has no labels, has other classes, or
        has been balanced already.
    """
    if not 0 < tau <= 1:
        raise InputError(f'--tau is {tau:g}: give a number above 0, up to 1')
    check_apart(out, [checkpoint])
    network, metadata = load_checkpoint(checkpoint)
    if SEGMENTATION not in metadata.tasks:
        raise InputError(f'{checkpoint}: gives no labels: there are no classes to balance')
    if 'balanced' in metadata.provenance:
        raise InputError(f'{checkpoint}: is balanced already, with tau '
                         f"{metadata.provenance['balanced']['tau']:g}: give the checkpoint that "
                         'it was made of')
    if folder.classes != metadata.classes:
        raise InputError(f'{folder.root}/dataset.yaml: field classes is not that of {checkpoint}: '
                         f'{classes_apart(folder.classes, metadata.classes)}: give the data set '
                         'that it was trained on')
    learned_from = metadata.provenance.get('data_set')
    if learned_from is not None and learned_from != folder.name:
        LOGGER.warning("%s/dataset.yaml: is of the data set '%s', %s was trained on '%s': what is "
                       'taken out is the share of the classes in its training images: give those '
                       'where they are others', folder.root, folder.name, checkpoint, learned_from)
    folder.restrict(('train',))
    counts = label_counts(folder, len(metadata.classes))
    if not counts.sum():
        raise InputError(f'{folder.root}/train.txt: no image has a labelled pixel: there is '
                         'nothing to count')
    shift = -tau * log_prior(counts)
    with torch.no_grad():
        for layer in network.segmentation_layers:
            layer.get_parameter('bias').add_(shift)
    metadata = with_other_weights(
        metadata, out.stem, steps=[*steps_of(metadata), balanced(tau)],
        balanced={'tau': tau, 'name': metadata.name, 'data_set': folder.name,
                  'sha256': file_hash(checkpoint)},
        ancestors=ancestors_of([('balanced', metadata)]))
    save_checkpoint(out, network, metadata)
    return metadata


def log_prior(counts: torch.Tensor) -> torch.Tensor:
    """
    Return the logarithm of each class's share, float32 [K].

    A class that never occurs is given the share of the rarest that does: nothing was learned of
    it, and it must not be raised above those of which something was.

    :param counts: pixels of each class, int64 [K], some above 0.
    """
    seen = counts[counts > 0].min()
    share = counts.clamp(min=int(seen)).double() / counts.sum()
    return share.log().float()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        metadata = balance(options.checkpoint, DatasetFolder(options.data), options.tau,
                           options.out)
        print(f'wrote {options.out}, {metadata.name}: balanced with tau {options.tau:g}, not '
              'calibrated')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
