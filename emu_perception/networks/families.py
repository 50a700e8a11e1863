# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The families of networks that a checkpoint may hold: one line for each."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.deeplab import INSTANCE, MultitaskDeepLab
from emu_perception.networks.multitask import A_TEACHER, FoldedNetwork, MultitaskNetwork

# As it is trained and saved, and as it runs.
Network = MultitaskNetwork | MultitaskDeepLab
InferenceNetwork = FoldedNetwork | MultitaskDeepLab

FAMILIES: dict[str, type[MultitaskNetwork] | type[MultitaskDeepLab]] = {
    'all_mlp': MultitaskNetwork,
    'deeplab': MultitaskDeepLab,
}
# Of checkpoints that name none.
DEFAULT_FAMILY = 'all_mlp'


def family_of(architecture: Mapping[str, Any]) -> type[MultitaskNetwork] | type[MultitaskDeepLab]:
    """
    Return the class of an architecture.

    :raises InputError: if its family is not known.
    """
    family = architecture.get('family', DEFAULT_FAMILY)
    if not isinstance(family, str) or family not in FAMILIES:
        raise InputError(f"family is '{str(family)[:80]}': give {' or '.join(FAMILIES)}, or "
                         'install the version that has it')
    return FAMILIES[family]


def build_network(architecture: Mapping[str, Any]) -> Network:
    """
    Return the network of an architecture document, with random weights.

    :raises InputError: if the family or an argument is not known, missing or out of its range.
    """
    kind = family_of(architecture)
    arguments = {name: value for name, value in architecture.items() if name != 'family'}
    known = signature(kind).parameters
    unknown = arguments.keys() - known.keys()
    if unknown:
        raise InputError(f"'{min(unknown)}' is not known here: install the version that has it")
    absent = [name for name, one in known.items()
              if one.default is one.empty and name not in arguments]
    if absent:
        raise InputError(f"'{absent[0]}' is missing: the file was edited; export it again")
    return kind(**arguments)


def check_answers(network: Network, of: object = 'the checkpoint') -> None:
    """
    Check that a network answers in one pass, as it has to on a robot.

    :param of: its file, named in the error.
    :raises InputError: if it does not.
    """
    if network.num_heads > 1:
        raise InputError(f"{of}: field 'architecture.num_heads' is {network.num_heads}: "
                         f'{A_TEACHER}')
    if network.tasks == (INSTANCE,):
        raise InputError(f'{of}: its only task is instance, whose vectors tell nothing without '
                         'labels of things: train it with segmentation too')
