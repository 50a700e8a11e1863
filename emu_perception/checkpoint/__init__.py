# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The self-describing checkpoint: one ``.safetensors`` file with a JSON document in its metadata.

The document says how to build the network, what its outputs mean, how they were calibrated and
where they come from. Nothing is pickled, so a checkpoint from a stranger cannot run code.
"""

from emu_perception.checkpoint.document import FORMAT_VERSION
from emu_perception.checkpoint.metadata import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    palette_or_default,
)
from emu_perception.checkpoint.reading import load_answering, load_checkpoint, read_metadata
from emu_perception.checkpoint.writing import save_checkpoint
from emu_perception.intrinsics import Intrinsics
from emu_perception.promises.constants import Promise, PromiseLevel

__all__ = ['Calibration', 'CheckpointMetadata', 'FittedThreshold', 'FORMAT_VERSION', 'Intrinsics',
           'load_answering', 'load_checkpoint', 'palette_or_default', 'Promise', 'PromiseLevel',
           'read_metadata', 'save_checkpoint']
