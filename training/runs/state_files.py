# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a run on disk: a new one takes the place of the one of before once it is whole."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

from emu_perception.whole_files import write_whole
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
import torch
from torch import nn

from ..recipes.options import RecipeError
from .run_folder import epochs_done

LOGGER = logging.getLogger('training')
_NETWORK = 'network.'  # What a module calls its network.


class StateFiles(TorchCheckpointIO):
    """
    Lightning's states, written by :func:`emu_perception.whole_files.write_whole`.

    Lightning itself writes into $TMPDIR and moves: between two file systems that is a copy onto
    the only state there is, and a kill in it loses the run.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path,
                        storage_options: Any | None = None) -> None:
        """
        Write a state.

        :raises OSError: names the path; the state of before is kept.
        """
        # By way of memory: torch's own writer says neither file nor reason of a full disk.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(path, buffer.getvalue())


class KeptState(ModelCheckpoint):
    """
    One state in a run's folder, known again wherever that folder is by now.

    Lightning itself forgets which state was the best where the path of its folder is another: of
    a run that was moved, the next epoch would be the best, and written over it.
    """

    @property
    def state_key(self) -> str:
        """Return the key of Lightning's own class: states of before have it."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what was known, its files in the folder of now."""
        folder = Path(str(self.dirpath))

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path
        known = {**state_dict, 'dirpath': self.dirpath}
        for name in ('best_model_path', 'kth_best_model_path', 'last_model_path'):
            known[name] = here(state_dict.get(name) or '')
        known['best_k_models'] = {here(path): score for path, score in
                                  state_dict.get('best_k_models', {}).items()}
        best = known['best_model_path']
        if self.monitor and best and not Path(best).exists():
            LOGGER.warning('%s: the best state so far is not there: the best is chosen of the '
                           'epochs from here on', best)
            return
        super().load_state_dict(known)


class MovingAverage(EMAWeightAveraging):
    """
    Lightning's moving average, which a run has at its end whether or not it made a step.

    Of a run that is resumed with all of its epochs made, Lightning itself leaves the weights that
    were last trained, in place of their average.
    """

    @property
    def state_key(self) -> str:
        """Return the key of Lightning's own class: states of before have it."""
        return EMAWeightAveraging.__qualname__

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Give the module the average; once more, where the training has."""
        self._copy_average_to_current(pl_module)


def take_weights(network: nn.Module, last: Path) -> None:
    """
    Give a network the weights of a state, as whatever it started from may hold others by now.

    Lightning does it later, after what is made of the parts that do not learn.
    """
    # Our own file: it may hold more than tensors.
    state = torch.load(last, map_location='cpu', weights_only=False)['state_dict']
    network.load_state_dict({name.removeprefix(_NETWORK): tensor for name, tensor in state.items()
                             if name.startswith(_NETWORK)})


def check_fits(module: nn.Module, last: Path, data: Path) -> None:
    """
    Check that a state is of this network: another data set may have other classes.

    :param data: the data set folder.
    :raises RecipeError: if it is not.
    """
    # Our own file: it may hold more than tensors, of which none is read.
    state = torch.load(last, map_location='cpu', weights_only=False, mmap=True)['state_dict']
    own = module.state_dict()
    for name in sorted(own.keys() | state.keys()):
        shapes = [list(part[name].shape) if name in part else None for part in (state, own)]
        if shapes[0] != shapes[1]:
            raise RecipeError(f'{last}: is of another network ({name} is {shapes[0]} there and '
                              f'{shapes[1]} here): --resume goes on with the recipe and the '
                              f'classes that the run began with, {data} may have others')


def what_is_kept(folder: Path, epochs: int) -> str:
    """Say how far a run is on disk and how to go on, for people."""
    last = folder / 'state/last.ckpt'
    if not last.exists():
        return f'{folder} has no epoch yet: the same command begins again'
    return (f'{epochs_done(folder)} of {epochs} epochs are kept in {last}; the same command with '
            '--resume goes on from there')
