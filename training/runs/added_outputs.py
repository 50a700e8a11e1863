# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A checkpoint that gets epistemic outputs beside what it says, which stays as it was.

With ``finetune.heads=epistemic`` a student is the checkpoint that it starts from, bit for bit, and
two last layers that read what those beside them read. What was measured of that checkpoint and
fitted to it holds of the student, so its document is kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emu_perception.checkpoint import CheckpointMetadata, load_checkpoint
from emu_perception.networks.families import Network
import torch

from ..evaluation.measuring import file_hash
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from .ancestry import ADDED_OUTPUTS, ancestors_of, steps_of

EPISTEMIC_PART = '.epistemic.'
# Of the student's provenance: what is of the added outputs alone.
_OF_STUDENT = ('data_set', 'split', 'images', 'data_source', 'data_licence', 'recipe', 'epoch',
               'epochs_run', 'command', 'git_commit', 'versions', 'teacher')
_ROUNDING = 1e-6  # Of float32, a few bits.


def check_kept(network: Network, start: str, recipe: Recipe) -> None:
    """
    Check that a network is the checkpoint it starts from but for what is added.

    :raises RecipeError: if it is not: of another camera, other classes, another size or layout.
    """
    source, metadata = load_checkpoint(start)
    given, own = source.state_dict(), network.state_dict()
    kept = {name for name in own if EPISTEMIC_PART not in name}
    where = f"field 'finetune.heads' is 'epistemic', which keeps {start} as it is, but"
    # First: through its focal length the depth layer is of the size too.
    if metadata.input_size != tuple(recipe.input_size):
        raise RecipeError(f'{where} it was made for {list(metadata.input_size)}: give '
                          f'input_size={list(metadata.input_size)}')
    other = sorted(name for name in kept | {n for n in given if EPISTEMIC_PART not in n}
                   if name not in given or name not in own or given[name].shape != own[name].shape
                   # Of a run that goes on it is an average of equal weights.
                   or not torch.allclose(given[name].to(own[name].dtype), own[name], _ROUNDING, 0))
    if other:
        raise RecipeError(f'{where} {other[0]} is another ({len(other)} of {len(kept)} tensors): '
                          "give the checkpoint's own network, data of its camera and classes, and "
                          'to --resume the file that the run began with')


def with_added_outputs(network: Network, start: str,
                       student: CheckpointMetadata) -> CheckpointMetadata:
    """
    Return the document of the checkpoint that a network started from, of the network with more.

    The network gets that checkpoint's own tensors once more: an average of equal weights may
    differ in a last bit.

    :param student: what the training says of itself; it is kept in ``provenance.epistemic``.
    """
    source, metadata = load_checkpoint(start)
    network.load_state_dict({name: tensor for name, tensor in source.state_dict().items()
                             if EPISTEMIC_PART not in name}, strict=False)
    # With its own terms where it learned from another data set than its start did.
    ancestors = (student.provenance['ancestors']
                 if student.provenance['data_set'] == metadata.provenance.get('data_set')
                 else ancestors_of([('added outputs', student)]))
    trained = {name: student.provenance[name] for name in _OF_STUDENT
               if name in student.provenance}
    return replace(metadata, architecture=network.arguments, name=student.name, provenance={
        **metadata.provenance, 'steps': [*steps_of(metadata), ADDED_OUTPUTS],
        'epistemic': {**trained, 'start': metadata.name, 'start_sha256': file_hash(Path(start))},
        'ancestors': ancestors})
