# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a run on disk: a new one takes the place of the one of before once it is whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from emu_perception.whole_files import write_whole
from lightning.pytorch.plugins.io import TorchCheckpointIO
import torch
from torch import nn

from .run_folder import epochs_done

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


def take_weights(network: nn.Module, last: Path) -> None:
    """
    Give a network the weights of a state, as whatever it started from may hold others by now.

    Lightning does it later, after what is made of the parts that do not learn.
    """
    # Our own file: it may hold more than tensors.
    state = torch.load(last, map_location='cpu', weights_only=False)['state_dict']
    network.load_state_dict({name.removeprefix(_NETWORK): tensor for name, tensor in state.items()
                             if name.startswith(_NETWORK)})


def what_is_kept(folder: Path, epochs: int) -> str:
    """Say how far a run is on disk and how to go on, for people."""
    last = folder / 'state/last.ckpt'
    if not last.exists():
        return f'{folder} has no epoch yet: the same command begins again'
    return (f'{epochs_done(folder)} of {epochs} epochs are kept in {last}; the same command with '
            '--resume goes on from there')
